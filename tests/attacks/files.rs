//! The root and the file system.

use crate::attack::{Bare, Evidence};
use crate::stage::Stage;
use std::os::unix::fs::PermissionsExt as _;

/// Whether the project holds a file that would run with its owner's or group's rights outside.
fn setid_file(stage: &Stage) -> bool {
    std::fs::read_dir(stage.project()).unwrap().any(|entry| {
        let mode = entry.unwrap().metadata().unwrap().permissions().mode();
        mode & 0o6000 != 0
    })
}

/// The evidence of what leaves a setuid file behind.
const SETID: Evidence = Evidence::Outside(setid_file);

attacks! {
    a_file_outside_the_grants_is_not_read: "a file outside what is granted is read",
        Bare::Works, "read(A.secret)";
    a_file_outside_the_grants_is_not_written: "a file is made outside what is granted",
        Bare::Works, "open(A.outside + '/made', 'w')",
        { evidence: Evidence::Outside(|stage| stage.outside().join("made").exists()) };
    the_passwords_are_not_read: "the host's password hashes are read",
        Bare::Root, "read('/etc/shadow')";
    homes_are_not_read: "the homes of others are listed",
        Bare::Root, "assert os.listdir('/root') or os.listdir('/home')";
    settings_of_the_host_are_not_written: "/etc/hosts of the host is opened for writing",
        Bare::Root, "can_open('/etc/hosts', os.O_WRONLY)";
    programs_of_the_host_are_not_written: "a file is made in /usr",
        Bare::Root, "
path = '/usr/' + os.path.basename(A.outside) + str(A.pid)
can_open(path, os.O_WRONLY | os.O_CREAT)
os.unlink(path)";
    chroot_twice_leads_nowhere: "chroot twice, and upwards",
        Bare::Works, "
try: own(0)
except OSError: pass
try:
    os.mkdir('jail'); os.chroot('jail')
except OSError:
    pass
for _ in range(40): os.chdir('..')
try:
    os.chroot('.')
except OSError:
    pass
read(A.secret)";
    nothing_is_revealed_by_umount: "a mount is taken away, to see what it covers",
        Bare::Root, "
alone(NEWNS)
call('mount', b'none', b'/', None, 0x4000 | 0x40000, None) if os.path.isdir('/root/.') else None
def detach(line):
    call('umount2', line.split()[4].encode(), 2)
any_of(reversed([line for line in open('/proc/self/mountinfo') if len(line.split()[4]) > 1]), detach)";
    a_read_only_mount_stays_read_only: "a read-only mount is made writable",
        Bare::Root, "
alone(NEWNS)
if os.access('/root', os.R_OK):
    call('mount', b'none', b'/', None, 0x4000 | 0x40000, None)
    call('mount', b'/usr', b'/usr', None, 0x1000, None)
    call('mount', None, b'/usr', None, 0x1000 | 0x20 | 1, None)
call('mount', None, b'/usr', None, 0x1000 | 0x20, None)";
    handles_open_nothing_outside: "a file outside is opened by its handle",
        Bare::Root, "
handle = ctypes.create_string_buffer(bytes.fromhex(A.before))
os.read(call('open_by_handle_at', os.open('.', os.O_RDONLY), handle, os.O_RDONLY), 10)",
        { before: "
handle = ctypes.create_string_buffer(struct.pack('Ii', 128, 0) + bytes(128))
mount = ctypes.c_int()
call('name_to_handle_at', -100, A.secret.encode(), handle, ctypes.byref(mount), 0)
print(handle.raw.hex())" };
    the_root_of_another_process_is_no_way_out: "a file is read through /proc/PID/root",
        Bare::Works, "any_of([p for p in os.listdir('/proc') if p.isdigit()], lambda p: read(f'/proc/{p}/root{A.secret}'))";
    the_working_directory_of_another_process_is_no_way_out: "a folder outside is entered through /proc/PID/cwd",
        Bare::Works, "any_of([p for p in os.listdir('/proc') if p.isdigit()], lambda p: read(f'/proc/{p}/cwd/{A.secret.lstrip(chr(47))}') if os.readlink(f'/proc/{p}/cwd') == '/' else read(f'/proc/{p}/cwd/../outside/secret'))";
    the_program_of_init_is_not_opened: "the program of the first process is opened, to be replaced",
        Bare::Root, "any_of([1, A.pid], lambda pid: can_open(f'/proc/{pid}/exe'))";
    devices_are_not_made: "a device is made, and opened",
        Bare::Root, "
os.mknod('memory', 0o666 | stat.S_IFCHR, os.makedev(1, 1))
try: can_open('memory')
except OSError as error:
    if error.errno in (EACCES, EPERM) and not os.access('/root', os.R_OK): raise
os.unlink('memory')";
    a_setuid_file_is_not_left_by_chmod: "a setuid file is left in the project, by chmod",
        Bare::Works, "open('left', 'w').close(); os.chmod('left', 0o4755)", { evidence: SETID };
    a_setuid_file_is_not_left_by_fchmod: "a setuid file is left in the project, by fchmod",
        Bare::Works, "file = open('left', 'w'); os.fchmod(file.fileno(), 0o4755)", { evidence: SETID };
    a_setuid_file_is_not_left_by_open: "a setuid file is left in the project, by open",
        Bare::Works, "os.open('left', os.O_CREAT | os.O_WRONLY, 0o4755)", { evidence: SETID };
    a_setuid_file_is_not_left_by_creat: "a setuid file is left in the project, by creat",
        Bare::Works, "call('creat' if 'creat' in N else 'openat', b'left', 0o4755) if 'creat' in N else os.open('left', os.O_CREAT, 0o4755)", { evidence: SETID };
    a_setuid_file_is_not_left_by_openat2: "a setuid file is left in the project, by openat2",
        Bare::Works, "
how = struct.pack('QQQ', os.O_CREAT | os.O_WRONLY, 0o4755, 0)
call('openat2', -100, b'left', how, len(how))", { evidence: SETID };
    a_setuid_file_is_not_left_by_mknod: "a setuid file is left in the project, by mknod",
        Bare::Works, "os.mknod('left', 0o4755 | stat.S_IFREG)", { evidence: SETID };
    a_setgid_folder_is_not_left: "a setgid folder is left in the project",
        Bare::Works, "os.mkdir('left'); os.chmod('left', 0o2777)", { evidence: SETID };
    a_setuid_file_is_not_left_by_fchmodat2: "a setuid file is left in the project, by fchmodat2",
        Bare::Works, "open('left', 'w').close(); call(452, -100, b'left', 0o4755, 0)", { evidence: SETID };
    file_capabilities_are_not_given: "a file in the project is given capabilities",
        Bare::Root, "
open('left', 'w').close()
os.setxattr('left', 'security.capability', struct.pack('<IIIII', 0x02000001, 1 << 21, 0, 0, 0))";
    a_file_outside_is_not_linked_in: "a file outside is hard-linked into the project",
        Bare::Works, "os.link(A.secret, 'linked')";
    mounts_do_not_propagate: "a mount inside shows on the host",
        Bare::Root, "
os.mkdir('mounted')
call('mount', b'none', (A.project + '/mounted').encode(), b'tmpfs', 0, None)",
        { evidence: Evidence::Outside(|stage| {
            let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
            mounts.contains(&*stage.project().join("mounted").to_string_lossy())
        }) };
    a_fresh_proc_sheds_no_masks: "/proc is mounted anew in namespaces of the command's own",
        Bare::Works, "
own(NEWPID | NEWNS)
child = os.fork()
if not child:
    try: call('mount', b'proc', b'/proc', b'proc', 0, None)
    except OSError: os._exit(1)
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0";
    a_fresh_sysfs_is_not_mounted: "sysfs is mounted in namespaces of the command's own",
        Bare::Works, "
own(NEWNET | NEWNS)
call('mount', b'sysfs', A.project.encode(), b'sysfs', 0, None)";
    overlays_are_not_made: "an overlay is made in a user namespace of the command's own",
        Bare::Works, "
own(NEWNS)
for part in 'upper', 'work': os.mkdir(part)
call('mount', b'none', b'/usr', b'overlay', 0, b'lowerdir=/usr,upperdir=upper,workdir=work')";
    shared_memory_of_the_host_is_not_seen: "a file in the host's /dev/shm is read",
        Bare::Works, "
try: read(A.before)
finally:
    if os.path.exists(A.before): os.unlink(A.before)",
        { before: "
path = f'/dev/shm/sandbox-attack-{os.path.basename(os.path.dirname(A.project))}'
open(path, 'w').write('the secret')
print(path)" };
    temporary_files_of_the_host_are_not_seen: "the host's /tmp is listed",
        Bare::Works, "assert os.path.basename(os.path.dirname(A.outside)) in os.listdir(os.path.dirname(os.path.dirname(A.outside))) and 'outside' in os.listdir(os.path.dirname(A.outside))";
    a_setuid_file_is_not_left_by_naming_a_nameless_one: "a setuid file without a name is made in the project, and named",
        Bare::Works, "
file = os.open('.', os.O_TMPFILE | os.O_WRONLY, 0o4755)
call('linkat', -100, f'/proc/self/fd/{file}'.encode(), -100, b'left', 0x400)", { evidence: SETID };
    nothing_is_made_unchangeable: "a file in the project is made immutable, so that its owner cannot remove it",
        Bare::Perhaps, "
import fcntl
file = open('left', 'w')
fcntl.ioctl(file, 0x40086602, struct.pack('l', 0x10))
fcntl.ioctl(file, 0x40086602, struct.pack('l', 0))";
}
