//! Processes and lifetime.

use crate::attack::{Bare, Evidence};

attacks! {
    a_process_outside_is_not_signalled: "a process outside is sent a signal",
        Bare::Works, "os.kill(A.pid, 0)";
    a_process_outside_is_not_ended_with_all_others: "everything is sent SIGTERM",
        Bare::Never("it would end everything that its user runs"), "
signal.signal(signal.SIGTERM, signal.SIG_IGN)
os.kill(-1, signal.SIGTERM)",
        { evidence: Evidence::Outside(|stage| !stage.victim_lives()) };
    a_process_outside_is_not_traced: "a process outside is traced",
        Bare::Root, "call('ptrace', 0x4206, A.pid, 0, 0)";
    the_memory_of_a_process_outside_is_not_read: "the memory of a process outside is read",
        Bare::Root, "
start = int(next(open(f'/proc/{A.pid}/maps')).split('-')[0], 16)
with open(f'/proc/{A.pid}/mem', 'rb', 0) as memory:
    memory.seek(start); assert memory.read(4)";
    the_memory_of_a_process_outside_is_not_copied: "the memory of a process outside is copied (process_vm_readv)",
        Bare::Root, "
start = int(next(open(f'/proc/{A.pid}/maps')).split('-')[0], 16) if os.path.exists(f'/proc/{A.pid}/maps') else 0x400000
to = ctypes.create_string_buffer(4)
local = struct.pack('PN', ctypes.addressof(to), 4)
call('process_vm_readv', A.pid, local, 1, struct.pack('PN', start, 4), 1, 0)";
    the_environment_of_a_process_outside_is_not_read: "the environment of a process outside is read",
        Bare::Works, "assert b'SECRET_TOKEN' in read(f'/proc/{A.pid}/environ', 1 << 20)";
    descriptors_of_a_process_outside_are_not_taken: "a descriptor of a process outside is taken",
        Bare::Root, "call('pidfd_getfd', os.pidfd_open(A.pid), 0, 0)";
    namespaces_of_a_process_outside_are_not_entered: "the namespaces of a process outside are entered",
        Bare::Root, "call('setns', os.open(f'/proc/{A.pid}/ns/net', os.O_RDONLY), 0)";
    memory_of_init_is_not_read: "the memory of the first process is read",
        Bare::Root, "any_of([1, A.pid], lambda pid: can_open(f'/proc/{pid}/mem'))";
    init_is_not_traced: "the first process is traced",
        Bare::Root, "any_of([1, A.pid], lambda pid: call('ptrace', 0x4206, pid, 0, 0))";
    a_daemon_does_not_live_on: "a process outlives the run",
        Bare::Works, "
if not os.fork():
    os.setsid()
    if os.fork(): os._exit(0)
    for fd in range(3): os.close(fd)
    time.sleep(0.5)
    open(A.project + '/alive', 'w')
    os._exit(0)
os.wait()",
        { evidence: Evidence::Outside(|stage| {
            std::thread::sleep(std::time::Duration::from_secs(3));
            stage.project().join("alive").exists()
        }) };
    no_real_time_priority_is_taken: "a real-time priority is taken",
        Bare::Root, "os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))";
    no_higher_priority_is_taken: "a priority above the caller's is taken",
        Bare::Root, "os.nice(-5)";
    no_real_time_disk_priority_is_taken: "a real-time priority for the disk is taken",
        Bare::Root, "call('ioprio_set', 1, 0, 1 << 13)";
    limits_are_not_raised: "a limit is raised beyond the caller's",
        Bare::Perhaps, "
import resource
for limit in resource.RLIMIT_NPROC, resource.RLIMIT_MEMLOCK, resource.RLIMIT_RTPRIO:
    soft, hard = resource.getrlimit(limit)
    if hard >= 0:
        try: resource.setrlimit(limit, (soft, hard + 1))
        except ValueError as error: raise AssertionError(error)
        sys.exit(0)
raise AssertionError('none is bounded')";
    others_are_not_killed_first: "the command makes itself the last to be killed for want of memory",
        Bare::Perhaps, "os.write(os.open('/proc/self/oom_score_adj', os.O_WRONLY), b'-1000')";
    no_core_is_handed_to_the_host: "a crash starts the host's handler of core dumps",
        Bare::Works, "
import resource
assert resource.getrlimit(resource.RLIMIT_CORE)[1] != 1";
    a_process_of_a_namespace_is_not_everybody: "the processes of the host are listed",
        Bare::Works, "assert str(A.pid) in os.listdir('/proc') and b'sleep' in read(f'/proc/{A.pid}/comm')";
    the_priority_of_a_process_outside_is_not_changed: "a process outside is made to run after all others",
        Bare::Works, "os.setpriority(os.PRIO_PROCESS, A.pid, 10)";
    the_limits_of_a_process_outside_are_not_changed: "the limits of a process outside are lowered",
        Bare::Works, "
import resource
resource.prlimit(A.pid, resource.RLIMIT_CORE, (0, 0))";
    the_processors_of_a_process_outside_are_not_changed: "a process outside is put on one processor",
        Bare::Works, "os.sched_setaffinity(A.pid, {0})";
    a_process_outside_is_not_signalled_by_its_descriptor: "a process outside is sent a signal by a descriptor",
        Bare::Works, "signal.pidfd_send_signal(os.pidfd_open(A.pid), 0)";
}
