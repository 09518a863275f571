//! System calls and kernel surface. Where a call would do something, its arguments make no sense: the kernel
//! says so, which shows that it has looked; a filter does not look.

use crate::attack::Bare;

attacks! {
    no_user_namespace_is_made: "a user namespace is made",
        Bare::Works, "call('unshare', NEWUSER)";
    no_user_namespace_is_cloned: "a user namespace is made by clone",
        Bare::Works, "
child = call('clone', NEWUSER | 17, 0, 0, 0, 0)
if not child: os._exit(0)";
    no_user_namespace_is_cloned_by_clone3: "a user namespace is made by clone3, whose flags no filter sees",
        Bare::Works, "
arguments = struct.pack('QQQQQQQQ', NEWUSER, 0, 0, 0, 17, 0, 0, 0)
child = call('clone3', arguments, len(arguments))
if not child: os._exit(0)";
    no_mount_namespace_is_made: "a mount namespace is made",
        Bare::Root, "call('unshare', NEWNS)";
    nothing_is_mounted: "mount is called",
        Bare::Root, "reaches_kernel('mount', b'x', b'/nowhere/at/all', b'tmpfs', 0, None)";
    nothing_is_mounted_by_the_new_calls: "the calls that mount since Linux 5.2 are reached",
        Bare::Root, "any_of([('fsopen', b'nofs', 0), ('open_tree', -100, b'/nowhere/at/all', 1), ('move_mount', -1, b'', -1, b'', 0)], lambda c: reaches_kernel(*c))";
    mounts_are_not_changed: "mount_setattr is reached",
        Bare::Root, "reaches_kernel('mount_setattr', -1, b'', 0xffff, None, 0)";
    the_root_is_not_changed: "pivot_root is reached",
        Bare::Root, "reaches_kernel('pivot_root', b'/nowhere/at/all', b'/nowhere/at/all')";
    the_root_is_not_changed_by_chroot: "chroot is reached",
        Bare::Root, "os.chroot('/')";
    no_namespace_is_entered: "setns is reached",
        Bare::Works, "reaches_kernel('setns', -1, 0)";
    no_program_is_loaded_into_the_kernel: "bpf is reached",
        Bare::Root, "reaches_kernel('bpf', 9999, None, 0)";
    nothing_is_measured: "perf_event_open is reached",
        Bare::Root, "reaches_kernel('perf_event_open', None, 0, -1, -1, 0)";
    faults_are_not_handled: "userfaultfd is reached",
        Bare::Root, "reaches_kernel('userfaultfd', 0x7fffffff)";
    no_ring_is_made: "io_uring is reached",
        Bare::Works, "reaches_kernel('io_uring_setup', 1, None)";
    no_module_is_loaded: "a module is loaded",
        Bare::Perhaps, "reaches_kernel('finit_module', -1, None, 0)";
    no_module_is_unloaded: "a module is unloaded",
        Bare::Perhaps, "reaches_kernel('delete_module', b'no such module', 0x800)";
    no_kernel_is_loaded: "another kernel is loaded",
        Bare::Perhaps, "any_of([('kexec_load', 0, 1 << 20, None, 0), ('kexec_file_load', -1, -1, 0, None, 0)], lambda c: reaches_kernel(*c))";
    no_swap_is_added: "swapon is reached",
        Bare::Root, "reaches_kernel('swapon', b'/nowhere/at/all', 0)";
    nothing_is_accounted: "acct is reached",
        Bare::Root, "reaches_kernel('acct', b'/nowhere/at/all')";
    no_quota_is_set: "quotactl is reached",
        Bare::Root, "reaches_kernel('quotactl', 0x800007, b'/nowhere/at/all', 0, None)";
    the_machine_is_not_restarted: "reboot is reached",
        Bare::Root, "reaches_kernel('reboot', 0, 0, 0, None)";
    the_clock_is_not_set: "the clock is set",
        Bare::Root, "any_of([('settimeofday', ctypes.c_void_p(1), None), ('clock_settime', 0, ctypes.c_void_p(1))], lambda c: reaches_kernel(*c))";
    ports_are_not_opened: "the ports of the machine are opened",
        Bare::Perhaps, "reaches_kernel('iopl', 9) if 'iopl' in N else can_open('/dev/port')";
    segments_are_not_changed: "modify_ldt is reached",
        Bare::Works, "reaches_kernel('modify_ldt', 0, None, 0) if 'modify_ldt' in N else None";
    processes_are_not_compared: "kcmp is reached",
        Bare::Works, "reaches_kernel('kcmp', os.getpid(), os.getpid(), 0, 0, 1)";
    no_handle_is_made: "name_to_handle_at is reached",
        Bare::Works, "reaches_kernel('name_to_handle_at', -100, b'/nowhere/at/all', ctypes.create_string_buffer(64), ctypes.create_string_buffer(8), 0)";
    the_log_of_the_kernel_is_not_read: "syslog is reached",
        Bare::Root, "reaches_kernel('syslog', 10, None, 0)";
    memory_does_not_become_executable_by_itself: "readable memory is made executable, by the personality",
        Bare::Works, "call('personality', 0x0400000)";
    another_system_is_not_played: "the personality of another system is taken",
        Bare::Works, "call('personality', 0x0003)";
    the_terminal_is_not_hung_up: "vhangup is reached",
        Bare::Never("it would hang up the terminal of the tests"), "call('vhangup')";
    files_are_not_watched_everywhere: "fanotify is reached",
        Bare::Root, "reaches_kernel('fanotify_init', 0x7fffffff, 0)";
    keys_are_not_managed: "keyctl and add_key are reached",
        Bare::Works, "any_of([('keyctl', 9999, 0, 0, 0, 0), ('add_key', None, None, None, 0, 0)], lambda c: reaches_kernel(*c))";
    pages_of_others_are_not_moved: "migrate_pages is reached",
        Bare::Works, "reaches_kernel('migrate_pages', 0, 1 << 20, None, None)";
    file_handles_are_not_opened: "open_by_handle_at is reached",
        Bare::Root, "reaches_kernel('open_by_handle_at', -1, None, 0)";
    the_other_entrance_is_closed: "a call is made through the entrance of 32-bit programs",
        Bare::Works, "
import mmap
code = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
# push rbx; mov eax, 20 (getpid); int 0x80; pop rbx; ret
code.write(bytes([0x53, 0xb8, 20, 0, 0, 0, 0xcd, 0x80, 0x5b, 0xc3]))
address = ctypes.addressof(ctypes.c_char.from_buffer(code))
assert ctypes.CFUNCTYPE(ctypes.c_int)(address)() == os.getpid()";
    the_x32_entrance_is_closed: "a refused call is made by its x32 number",
        Bare::Never("kernels are mostly built without x32; the numbers are those of the filter's own tests"),
        "call(0x40000000 | N['getpid'])";
    unknown_calls_look_unknown: "a call that no kernel has is answered as if it were forbidden",
        Bare::Never("no kernel has it"), "
try: call(1 << 20)
except OSError as error:
    if error.errno == ENOSYS: raise";
    disks_and_devices_are_not_opened: "a device of the machine is opened",
        Bare::Root, "any_of([f'/dev/{name}' for name in ('mem', 'kvm', 'fuse', 'net/tun', 'loop-control', 'loop0', 'vda', 'sda', 'uinput', 'vhost-net', 'mapper/control', 'port', 'userfaultfd')], lambda path: can_open(path, os.O_RDWR | os.O_NONBLOCK))";
    mounts_are_not_listed_by_number: "the calls that list mounts since Linux 6.8 are reached",
        Bare::Perhaps, "any_of([458, 457], lambda number: reaches_kernel(number, None, None, 0, 0))";
    memory_is_not_hidden_from_the_kernel: "memory is taken that the kernel itself does not see",
        Bare::Perhaps, "reaches_kernel(447, 1 << 30)";
    no_program_is_started_out_of_memory: "a program is started that is in no file",
        Bare::Works, "
file = os.memfd_create('left')
os.write(file, open('/bin/true', 'rb').read())
child = os.fork()
if not child:
    try: os.execve(file, ['left'], {})
    except OSError: os._exit(1)
assert os.waitpid(child, 0)[1] == 0", { by_ci: true };
    memory_is_not_given_to_a_pipe: "pages of the command's become part of a pipe",
        Bare::Works, "
page = ctypes.create_string_buffer(b'x')
call('vmsplice', os.pipe()[1], struct.pack('PN', ctypes.addressof(page), 1), 1, 0)", { by_ci: true };
    memory_is_not_shared_by_merging: "memory is merged with that of others, which tells what they hold",
        Bare::Perhaps, "call('prctl', 67, 1, 0, 0, 0)", { by_ci: true };
}
