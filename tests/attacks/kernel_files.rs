//! procfs, sysfs, cgroupfs: files that are the kernel.

use crate::attack::Bare;

attacks! {
    the_core_pattern_is_not_set: "the program that the kernel starts for a core dump is set",
        Bare::Root, "can_open('/proc/sys/kernel/core_pattern', os.O_WRONLY)";
    the_module_loader_is_not_set: "the program that the kernel starts for a module is set",
        Bare::Perhaps, "can_open('/proc/sys/kernel/modprobe', os.O_WRONLY)";
    no_sysctl_is_written: "any setting of the kernel is opened for writing",
        Bare::Root, "any_of([os.path.join(d, f) for d, _, fs in os.walk('/proc/sys') for f in fs], lambda path: can_open(path, os.O_WRONLY))";
    the_magic_key_is_not_pressed: "/proc/sysrq-trigger is opened for writing",
        Bare::Perhaps, "can_open('/proc/sysrq-trigger', os.O_WRONLY)";
    no_interrupt_is_steered: "a setting of an interrupt is opened for writing",
        Bare::Perhaps, "can_open('/proc/irq/default_smp_affinity', os.O_WRONLY)";
    formats_are_not_registered: "a program for a binary format is registered",
        Bare::Perhaps, "
alone(NEWNS)
try: can_open('/proc/sys/fs/binfmt_misc/register', os.O_WRONLY)
except OSError:
    call('mount', b'none', A.project.encode(), b'binfmt_misc', 0, None)
    can_open(A.project + '/register', os.O_WRONLY)";
    kernel_memory_is_not_read: "the kernel's memory is opened",
        Bare::Perhaps, "can_open('/proc/kcore')";
    kernel_messages_are_not_read: "the kernel's messages are opened",
        Bare::Root, "any_of(['/proc/kmsg', '/dev/kmsg'], lambda path: can_open(path, os.O_RDONLY | os.O_NONBLOCK))";
    kernel_symbols_are_not_read: "the kernel's symbols are read",
        Bare::Works, "read('/proc/kallsyms')";
    kernel_timers_and_keys_are_not_read: "the lists of timers and keys are read",
        Bare::Works, "any_of(['/proc/timer_list', '/proc/keys', '/proc/key-users', '/proc/sched_debug', '/proc/slabinfo'], read)";
    the_kernels_log_of_the_machine_is_not_read: "the serial numbers and firmware of the machine are read",
        Bare::Works, "any_of(['/sys/firmware', '/sys/class/dmi', '/sys/devices', '/proc/acpi'], lambda path: os.listdir(path))";
    debugging_file_systems_are_not_mounted: "a debugging file system of the kernel is mounted",
        Bare::Perhaps, "
alone(NEWNS)
any_of([b'debugfs', b'tracefs', b'securityfs'], lambda kind: call('mount', b'none', A.project.encode(), kind, 0, None))";
    no_release_agent_is_set: "a cgroup file system is mounted, for its release agent",
        Bare::Root, "
alone(NEWNS)
any_of([(b'cgroup', b'none,name=attack'), (b'cgroup', b'memory'), (b'cgroup2', None)],
       lambda kind: call('mount', b'none', A.project.encode(), kind[0], 0, kind[1]))";
    the_group_is_not_left: "a control group is opened, to move there",
        Bare::Root, "any_of([os.path.join(d, f) for d, _, fs in os.walk('/sys/fs/cgroup') for f in fs if f == 'cgroup.procs'], lambda path: can_open(path, os.O_WRONLY))";
    nothing_watches_the_whole_machine: "the kernel is asked to watch the load of the machine",
        Bare::Perhaps, "any_of(['cpu', 'io', 'memory'], lambda what: can_open('/proc/pressure/' + what, os.O_RDWR))";
    the_boot_is_not_named: "the id of the machine's boot is read",
        Bare::Works, "assert A.before and read('/proc/sys/kernel/random/boot_id').decode().strip() == A.before",
        { before: "print(read('/proc/sys/kernel/random/boot_id').decode().strip())" };
    the_machine_is_not_named: "the host's name is read",
        Bare::Works, "assert os.uname().nodename == A.before",
        { before: "print(os.uname().nodename)" };
    the_machine_id_is_not_read: "the host's machine-id is read",
        Bare::Works, "assert A.before and read('/etc/machine-id').decode().strip() == A.before",
        { before: "print(read('/etc/machine-id').decode().strip())" };
    the_host_is_not_renamed: "the host's name is set",
        Bare::Root, "reaches_kernel('sethostname', None, 1 << 20)";
    interrupts_are_not_counted: "the times are read at which others type and disks answer",
        Bare::Works, "any_of(['/proc/interrupts', '/proc/softirqs'], read)";
    groups_of_the_host_are_not_listed: "what else runs is read off the names of control groups",
        Bare::Works, "os.listdir('/sys/fs/cgroup')";
    disks_are_not_listed: "the disks of the machine are listed",
        Bare::Works, "any_of(['/sys/block', '/sys/dev/block', '/dev/disk'], os.listdir)";
    the_start_of_the_kernel_is_not_told: "the command line of the kernel is read",
        Bare::Works, "read('/proc/cmdline')", { by_ci: true };
    the_disks_are_not_counted: "the disks of the machine are read off /proc, and how much they are used",
        Bare::Works, "any_of(['/proc/diskstats', '/proc/partitions', '/proc/swaps'], read)", { by_ci: true };
    the_memory_of_the_machine_is_not_mapped: "what the memory of the machine is used for is read",
        Bare::Works, "any_of(['/proc/buddyinfo', '/proc/zoneinfo', '/proc/iomem', '/proc/ioports'], read)",
        { by_ci: true };
    hardware_is_not_told: "the buses, drivers and file systems of the machine are listed",
        Bare::Works, "any_of(['/proc/bus', '/proc/fs', '/proc/driver', '/proc/tty'], os.listdir)", { by_ci: true };
    the_load_of_the_machine_is_not_told: "how long others wait for the machine is read",
        Bare::Perhaps, "read('/proc/pressure/cpu')", { by_ci: true };
    the_machine_is_not_named_by_a_file: "the host's name is read from its file",
        Bare::Perhaps, "assert A.before and read('/etc/hostname').decode().strip() == A.before",
        { before: "print(read('/etc/hostname').decode().strip() if os.path.exists('/etc/hostname') else '')", by_ci: true };
}
