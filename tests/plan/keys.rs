//! Every key of the language: what permits more is seen, and what does not is not taken for it.

use crate::listed;
use crate::review::{ada, grants};
use sandbox::review::compare::{beyond, compare};
use std::collections::BTreeSet;

/// Every key, with a value that permits less and one that permits more.
pub(crate) const WIDENINGS: &[(&str, &str, &str)] = &[
    ("rootfs", "project = \"hide\"", "project = \"read\""),
    ("rootfs", "project = \"read\"", "project = \"write\""),
    ("rootfs", "empty = true", ""),
    ("rootfs", "host = \"public\"", "host = \"all\""),
    ("rootfs", "empty = true", "host = \"public\""),
    (
        "rootfs",
        "programs = [\"sh\"]",
        "programs = [\"sh\", \"ls\"]",
    ),
    (
        "rootfs",
        "programs = [\"sh\"]",
        "programs = [\"sh\", \"/home/ada/x\"]",
    ),
    (
        "rootfs",
        "directory = \"/srv/r\"",
        "directory = \"/srv/r\"\nchanges = \"write\"",
    ),
    ("rootfs", "empty = true", "directory = \"/srv/r\""),
    (
        "rootfs",
        "host = \"all\"",
        "host = \"all\"\npropagation = \"slave-as-is\"",
    ),
    ("rootfs", "project = \"read\"", "project = \"keep\""),
    ("rootfs", "project = \"read\"", "project = \"discard\""),
    ("rootfs", "project = \"keep\"", "project = \"write\""),
    (
        "rootfs",
        "directory = \"/srv/r\"",
        "directory = \"/srv/r\"\nchanges = \"discard\"",
    ),
    (
        "rootfs",
        "directory = \"/srv/r\"\nchanges = \"discard\"\nchanges_on = \"disk\"",
        "directory = \"/srv/r\"\nchanges = \"keep\"",
    ),
    (
        "rootfs",
        "directory = \"/srv/r\"\nchanges = \"keep\"",
        "directory = \"/srv/r\"\nchanges = \"write\"",
    ),
    (
        "rootfs",
        "project = \"discard\"\nchanges_on = \"memory\"",
        "project = \"discard\"\nchanges_on = \"disk\"",
    ),
    (
        "rootfs",
        "project = \"discard\"\nchanges_size = \"1M\"",
        "project = \"discard\"\nchanges_size = \"2M\"",
    ),
    (
        "rootfs",
        "project = \"discard\"\nchanges_inodes = 1000",
        "project = \"discard\"\nchanges_inodes = 1001",
    ),
    (
        "rootfs",
        "archive = \"/srv/r.tar\"",
        "archive = \"/srv/r.tar\"\nchanges = \"discard\"\nchanges_on = \"disk\"",
    ),
    ("rootfs", "empty = true", "archive = \"/srv/r.tar\""),
    ("rootfs", "empty = true", "image = \"/srv/r\""),
    (
        "rootfs",
        "image = \"registry:quay.io/a@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"",
        "image = \"registry:quay.io/a@sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\"",
    ),
    (
        "rootfs",
        "archive = \"/srv/r.tar\"\ndigest = \"sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"",
        "archive = \"/srv/r.tar\"",
    ),
    (
        "rootfs",
        "archive = \"/srv/r.tar\"\nmax_entries = 10",
        "archive = \"/srv/r.tar\"\nmax_entries = 11",
    ),
    (
        "rootfs",
        "archive = \"/srv/r.tar\"\nmax_size = \"1M\"",
        "archive = \"/srv/r.tar\"\nmax_size = \"2M\"",
    ),
    (
        "rootfs",
        "image = \"/srv/r\"\nimage_name = \"a\"",
        "image = \"/srv/r\"\nimage_name = \"b\"",
    ),
    (
        "rootfs",
        "image = \"/srv/r\"",
        "image = \"/srv/r\"\nimage_config = true",
    ),
    ("namespaces", "", "user = \"shared\""),
    ("namespaces", "", "mount = \"shared\""),
    ("namespaces", "", "pid = \"shared\""),
    ("namespaces", "", "ipc = \"shared\""),
    ("namespaces", "", "uts = \"shared\""),
    ("namespaces", "", "net = \"shared\""),
    ("namespaces", "", "cgroup = \"shared\""),
    ("namespaces", "", "time = \"shared\""),
    ("namespaces", "", "nested_user = true"),
    (
        "namespaces",
        "",
        "sysctls = { \"net.ipv4.ip_forward\" = \"1\" }",
    ),
    (
        "namespaces",
        "sysctls = { \"user.max_net_namespaces\" = \"0\" }",
        "sysctls = { \"user.max_net_namespaces\" = \"1\" }",
    ),
    (
        "namespaces",
        "sysctls = { \"user.max_net_namespaces\" = \"0\" }",
        "",
    ),
    ("namespaces", "", "net = \"/proc/42/ns/net\""),
    ("namespaces", "net = \"name:db\"", "net = \"name:web\""),
    (
        "namespaces",
        "pid = \"shared\"",
        "pid = \"/proc/42/ns/pid\"",
    ),
    (
        "namespaces",
        "mount = \"shared\"",
        "mount = \"/proc/42/ns/mnt\"",
    ),
    ("user", "", "uid_map = \"auto\""),
    (
        "user",
        "uid_map = \"root\"",
        "uid_map = [{ inside = 0, outside = 0 }]",
    ),
    (
        "user",
        "gid_map = \"root\"",
        "gid_map = [{ inside = 0, outside = 5 }]",
    ),
    (
        "user",
        "uid_map = [{ inside = 0, outside = 7, count = 9 }]",
        "uid_map = [{ inside = 0, outside = 7, count = 10 }]",
    ),
    (
        "user",
        "uid = 1\nuid_map = [{ inside = 0, outside = 0, count = 9 }]",
        "uid = 0\nuid_map = [{ inside = 0, outside = 0, count = 9 }]",
    ),
    (
        "user",
        "uid_map = \"root\"",
        "uid_map = [{ inside = 0, outside = \"web\" }]",
    ),
    (
        "user",
        "uid_map = [{ inside = 0, outside = 7 }]",
        "uid_map = [{ inside = 0, outside = \"root\" }]",
    ),
    (
        "user",
        "uid_map = [{ inside = 0, outside = \"web\" }]",
        "uid_map = [{ inside = 0, outside = \"web\", count = 2 }]",
    ),
    (
        "user",
        "uid = 1\nuid_map = [{ inside = 0, outside = 5, count = 9 }]",
        "uid = \"web\"\nuid_map = [{ inside = 0, outside = 5, count = 9 }]",
    ),
    (
        "user",
        "uid = 1\n[namespaces]\nuser = \"shared\"",
        "uid = \"web\"\n[namespaces]\nuser = \"shared\"",
    ),
    (
        "user",
        "gid = 1\ngid_map = [{ inside = 0, outside = 0, count = 9 }]",
        "gid = 1\ngroups = [5]\ngid_map = [{ inside = 0, outside = 0, count = 9 }]",
    ),
    ("devices", "", "nodes = [\"kvm\"]"),
    (
        "devices",
        "",
        "nodes = [{ name = \"kvm\", optional = true }]",
    ),
    ("devices", "shm_size = \"64M\"", "shm_size = \"65M\""),
    ("network", "mode = \"none\"", "mode = \"loopback\""),
    ("network", "mode = \"loopback\"", "mode = \"host\""),
    ("network", "mode = \"loopback\"", "mode = \"veth\""),
    ("network", "mode = \"loopback\"", "mode = \"user\""),
    ("network", "mode = \"veth\"", "mode = \"user\""),
    ("network", "mode = \"user\"", "mode = \"host\""),
    (
        "network",
        "mode = \"user\"",
        "mode = \"macvlan\"\ninterface = \"eth0\"\naddress = [\"10.9.0.2/24\"]",
    ),
    (
        "network",
        "",
        "publish = []\nforward = [\"8000-8001:8000-8001\"]",
    ),
    (
        "network",
        "allow = [\"a.example:8000-8003\"]",
        "allow = [\"a.example:8000-8010\"]",
    ),
    (
        "network",
        "mode = \"host\"",
        "mode = \"join\"\nnamespace = \"lab\"",
    ),
    (
        "network",
        "mode = \"join\"\nnamespace = \"lab\"",
        "mode = \"join\"\nnamespace = \"other\"",
    ),
    ("network", "mode = \"veth\"", "mode = \"veth\"\nnat = true"),
    (
        "network",
        "mode = \"veth\"\naddress = [\"10.9.0.2/24\"]",
        "mode = \"veth\"\naddress = [\"10.9.0.2/24\"]\ngateway = [\"10.9.0.1\"]",
    ),
    (
        "network",
        "mode = \"veth\"\naddress = [\"10.9.0.2/24\"]",
        "mode = \"veth\"\naddress = [\"10.9.0.2/24\"]\nbridge = \"br0\"\nisolated = true",
    ),
    (
        "network",
        "mode = \"veth\"\naddress = [\"10.9.0.2/24\"]\nbridge = \"br0\"\nisolated = true",
        "mode = \"veth\"\naddress = [\"10.9.0.2/24\"]\nbridge = \"br0\"\nisolated = false",
    ),
    (
        "network",
        "mode = \"veth\"\naddress = [\"10.9.0.2/24\"]\nbridge = \"br0\"",
        "mode = \"veth\"\naddress = [\"10.9.0.2/24\"]\nbridge = \"br0\"\nnames = true",
    ),
    (
        "network",
        "mode = \"user\"",
        "mode = \"user\"\npublish = [\"127.0.0.1:8080:80\"]",
    ),
    (
        "network",
        "mode = \"user\"\npublish = [\"127.0.0.1:8080:80\"]",
        "mode = \"user\"\npublish = [\"8080:80\"]",
    ),
    ("network", "", "forward = [\"2222:22\"]"),
    (
        "network",
        "forward = [\"2222:22\"]",
        "forward = [\"2222:22\", \"2222:22/udp\"]",
    ),
    (
        "network",
        "mode = \"user\"\nforward = [\"2222:22\", \"53:53/udp\"]",
        "mode = \"user\"\nforward = \"auto\"",
    ),
    (
        "network",
        "families = [\"unix\"]",
        "families = [\"inet\", \"unix\"]",
    ),
    ("network", "families = []", "families = [\"unix\"]"),
    ("network", "", "allow = [\"a.example:443\"]"),
    (
        "network",
        "allow = [\"x.a.example:443\"]",
        "allow = [\"*.a.example:443\"]",
    ),
    (
        "network",
        "allow = [\"10.0.0.0/9:443\"]",
        "allow = [\"10.0.0.0/8:443\"]",
    ),
    (
        "network",
        "allow = [\"0.0.0.0/0:443\"]",
        "allow = [\"0.0.0.0/0:443\", \"10.0.0.0/8:443\"]",
    ),
    (
        "network",
        "allow = [\"a.example:443\"]",
        "allow = [\"a.example:443\", \"a.example:443/udp\"]",
    ),
    (
        "network",
        "allow = [\"*.a.example:443\"]\ndeny = [\"x.a.example\"]",
        "allow = [\"*.a.example:443\"]",
    ),
    ("network", "allow = [\"a.example:443\"]", "mode = \"host\""),
    (
        "network",
        "mode = \"veth\"\nallow = [\"10.0.0.1:443\"]",
        "mode = \"veth\"",
    ),
    (
        "network",
        "mode = \"user\"\nallow = [\"10.0.0.1:443\"]",
        "mode = \"user\"",
    ),
    (
        "network",
        "mode = \"user\"\nallow = [\"10.0.0.1:443\"]",
        "mode = \"user\"\nallow = [\"10.0.0.0/8:443\"]",
    ),
    (
        "network",
        "mode = \"user\"\nallow = [\"10.0.0.1:443\"]\ndeny = [\"10.0.0.1:443\"]",
        "mode = \"user\"\nallow = [\"10.0.0.1:443\"]",
    ),
    (
        "network",
        "mode = \"veth\"",
        "mode = \"veth\"\nnat = true\nallow = [\"8.8.8.8:443\"]",
    ),
    ("network", "families = [\"unix\"]", ""),
    ("network", "", "families = [\"unix\", \"vsock\"]"),
    ("capabilities", "", "keep = [\"net_raw\"]"),
    (
        "capabilities",
        "keep = [\"all\"]\ndrop = [\"bpf\"]",
        "keep = [\"all\"]",
    ),
    (
        "capabilities",
        "keep = [\"net_raw\"]",
        "keep = [\"net_raw\"]\nambient = [\"net_raw\"]",
    ),
    ("seccomp", "preset = \"strict\"", "preset = \"default\""),
    ("seccomp", "preset = \"default\"", "preset = \"off\""),
    ("seccomp", "", "allow = [\"bpf\"]"),
    ("seccomp", "", "allow = [\"clone\"]"),
    ("seccomp", "deny = [\"ptrace\"]", ""),
    ("seccomp", "preset = \"none\"", "preset = \"strict\""),
    #[cfg(target_arch = "x86_64")]
    ("seccomp", "foreign = \"kill\"", "foreign = \"same\""),
    #[cfg(target_arch = "x86_64")]
    ("seccomp", "", "foreign = \"same\""),
    #[cfg(target_arch = "x86_64")]
    (
        "seccomp",
        "foreign = \"same\"",
        "foreign = \"same\"\nallow = [\"socketcall\"]",
    ),
    #[cfg(target_arch = "x86_64")]
    ("seccomp", "foreign = \"same\"", "preset = \"off\""),
    (
        "seccomp",
        "preset = \"off\"\nforeign = \"kill\"",
        "preset = \"off\"",
    ),
    (
        "seccomp",
        "preset = \"none\"",
        "preset = \"none\"\nallow = [\"@clock\"]",
    ),
    (
        "seccomp",
        "preset = \"none\"\nrefuse = \"kill\"",
        "preset = \"none\"\nrefuse = \"log\"",
    ),
    (
        "seccomp",
        "refuse = \"EPERM\"\ndeny = [\"ptrace\"]",
        "refuse = \"log\"\ndeny = [\"ptrace\"]",
    ),
    (
        "seccomp",
        "deny = [\"read\"]",
        "deny = [{ calls = \"read\", when = [{ arg = 0, is = 7 }] }]",
    ),
    (
        "seccomp",
        "deny = [{ calls = \"read\", when = [{ arg = 0, above = 7 }] }]",
        "deny = [{ calls = \"read\", when = [{ arg = 0, above = 8 }] }]",
    ),
    (
        "seccomp",
        "",
        "allow = [{ calls = \"bpf\", when = [{ arg = 0, is = 1 }] }]",
    ),
    (
        "seccomp",
        "allow = [{ calls = \"bpf\", when = [{ arg = 0, is = 1 }] }]",
        "allow = [{ calls = \"bpf\", when = [{ arg = 0, in = [1, 2] }] }]",
    ),
    (
        "seccomp",
        "allow = [{ calls = \"bpf\", when = [{ arg = 0, in = [1, 2] }] }]",
        "allow = [\"bpf\"]",
    ),
    (
        "seccomp",
        "preset = \"off\"\ndeny = [\"ptrace\"]",
        "preset = \"off\"",
    ),
    ("limits", "pids = 10", "pids = 11"),
    ("limits", "pids = 10", ""),
    ("limits", "pids = 10", "pids = \"1%\""),
    ("limits", "memory = \"50%\"", "memory = \"51%\""),
    ("limits", "memory = \"50%\"", "memory = \"1G\""),
    ("limits", "memory = \"50%\"", ""),
    ("limits", "memory = \"1G\"", "memory = \"2G\""),
    ("limits", "memory = \"1G\"", ""),
    (
        "limits",
        "memory = \"1G\"",
        "memory = \"1G\"\nswap = \"1M\"",
    ),
    ("limits", "memory_high = \"1G\"", "memory_high = \"2G\""),
    ("limits", "memory_high = \"1G\"", ""),
    (
        "network",
        "mode = \"host\"\npeers = []",
        "mode = \"host\"\npeers = [\"127.0.0.0/8\"]",
    ),
    (
        "network",
        "mode = \"host\"\npeers = [\"10.0.0.7\"]",
        "mode = \"host\"\npeers = [\"10.0.0.0/24\"]",
    ),
    (
        "network",
        "mode = \"host\"\npeers = [\"0.0.0.0/0\", \"::/0\"]",
        "mode = \"host\"",
    ),
    ("limits", "cpu_weight = 50", ""),
    ("limits", "cpu_weight = \"idle\"", "cpu_weight = 1"),
    ("limits", "memory_low = \"1G\"", "memory_low = \"2G\""),
    ("limits", "", "memory_low = \"1G\""),
    ("limits", "", "memory_min = \"1G\""),
    ("limits", "memory_nodes = \"0\"", "memory_nodes = \"0-1\""),
    ("limits", "memory_nodes = \"0\"", ""),
    ("limits", "oom_group = true", ""),
    ("limits", "oom_group = true", "oom_group = false"),
    (
        "limits",
        "huge_pages = { \"2M\" = \"4M\" }",
        "huge_pages = { \"2M\" = \"6M\" }",
    ),
    ("limits", "huge_pages = { \"2M\" = \"4M\" }", ""),
    (
        "limits",
        "huge_pages = { \"2M\" = 0, \"1G\" = 0 }",
        "huge_pages = { \"2M\" = 0 }",
    ),
    ("limits", "cpu = 1", "cpu = 1\ncpu_period = \"200ms\""),
    ("limits", "cpu = 1", "cpu = 1\ncpu_burst = \"10ms\""),
    ("limits", "io_weight = 50", ""),
    ("limits", "", "io_weight = 101"),
    (
        "limits",
        "io = [{ device = \"/srv\", weight = 50 }]",
        "io = [{ device = \"/srv\", weight = 51 }]",
    ),
    ("limits", "io = [{ device = \"/srv\", weight = 50 }]", ""),
    ("limits", "", "io = [{ device = \"/srv\", weight = 101 }]"),
    ("limits", "", "cpu_weight = 101"),
    ("limits", "cpu_time = 10", "cpu_time = \"10.5s\""),
    ("limits", "cpu_time = 10", ""),
    (
        "limits",
        "io = [{ device = \"/dev/sda\", read = \"1M\" }]",
        "io = [{ device = \"/dev/sda\", read = \"2M\" }]",
    ),
    (
        "limits",
        "io = [{ device = \"/dev/sda\", write_ops = 1 }]",
        "io = [{ device = \"/dev/sdb\", write_ops = 1 }]",
    ),
    (
        "limits",
        "io = [{ device = \"/dev/sda\", read_ops = 1 }]",
        "",
    ),
    ("limits", "cpu = 1", "cpu = 1.5"),
    ("limits", "cpu = 1", ""),
    ("limits", "cpuset = \"0-2\"", "cpuset = \"0-1,3\""),
    ("limits", "cpuset = \"0\"", ""),
    ("limits", "wall_time = 10", "wall_time = \"10.5s\""),
    ("limits", "wall_time = 10", ""),
    ("limits", "cpu = 1", "cpu = \"50%\""),
    ("limits", "cpu = \"50%\"", "cpu = \"51%\""),
    ("limits", "idle = 10", "idle = \"10.5s\""),
    ("limits", "idle = 10", ""),
    ("limits", "output = \"1K\"", "output = 1025"),
    ("limits", "output = 1", ""),
    ("limits", "output = 1\noutput_over = \"end\"", "output = 1"),
    ("limits", "grace = 1", ""),
    ("rlimits", "nofile = 10", "nofile = { soft = 1, hard = 11 }"),
    ("rlimits", "nofile = 10", ""),
    ("rlimits", "", "nofile = \"infinity\""),
    ("rlimits", "nofile = { hard = 9 }", "nofile = { soft = 8 }"),
    ("rlimits", "nofile = 9", "nofile = \"hard\""),
    ("rlimits", "", "core = \"inherit\""),
    ("environment", "", "inherit = [\"CI\"]"),
    ("environment", "inherit = [\"A_B*\"]", "inherit = [\"A_*\"]"),
    (
        "environment",
        "inherit = [\"*\"]\nunset = [\"A_*\"]",
        "inherit = [\"*\"]",
    ),
    ("environment", "unset = [\"LANG\"]", ""),
    ("environment", "", "files = [\"/srv/env\"]"),
    (
        "environment",
        "files = [\"/srv/env\"]",
        "files = [\"/srv/other\"]",
    ),
    (
        "environment",
        "",
        "files = [{ name = \"/srv/env\", optional = true }]",
    ),
    ("limits", "grace = 1", "grace = \"infinity\""),
    ("limits", "", "stop_signal = \"SIGWINCH\""),
    (
        "user",
        "uid = 1\ngid = 1\ngid_map = [{ inside = 0, outside = 0, count = 9 }]",
        "uid = 1\ngid = 1\ngroups = \"account\"\ngid_map = [{ inside = 0, outside = 0, count = 9 }]",
    ),
    (
        "user",
        "uid = 1\n[namespaces]\nuser = \"shared\"",
        "uid = 1\ngroups = \"account\"\n[namespaces]\nuser = \"shared\"",
    ),
    ("capabilities", "", "new_privileges = true"),
    ("capabilities", "", "securebits = []"),
    (
        "capabilities",
        "keep = [\"net_raw\"]",
        "keep = [\"net_raw\"]\nsecurebits = [\"keep_caps\"]",
    ),
    ("process", "stdin = \"null\"", ""),
    ("process", "", "stdin = \"/srv/in\""),
    ("process", "stdout = \"null\"", ""),
    ("process", "", "stdout = \"/srv/out\""),
    ("process", "stdout = \"/srv/out\"", "stdout = \"/srv/log\""),
    (
        "process",
        "stdout = \"append:/srv/out\"",
        "stdout = \"/srv/out\"",
    ),
    (
        "process",
        "scheduler = \"rr\"\npriority = 1\nreset_on_fork = true",
        "scheduler = \"rr\"\npriority = 1",
    ),
    (
        "process",
        "ioprio = \"best-effort:0\"",
        "ioprio = \"realtime:7\"",
    ),
    (
        "process",
        "ioprio = \"realtime:1\"",
        "ioprio = \"realtime:0\"",
    ),
    ("process", "", "stderr = \"/srv/err\""),
    ("process", "", "by_descriptor = true"),
    ("process", "", "keyring = \"inherit\""),
    ("process", "tsc = false", ""),
    ("process", "no_speculation = [\"store_bypass\"]", ""),
    ("process", "", "scheduler = \"rr\"\npriority = 1"),
    (
        "process",
        "scheduler = \"fifo\"\npriority = 1",
        "scheduler = \"fifo\"\npriority = 2",
    ),
    (
        "rootfs",
        "programs = [\"sh\"]",
        "programs = [\"sh\"]\n[process]\ncommand = [\"/home/ada/x\"]",
    ),
    ("process", "", "umask = \"002\""),
    ("process", "", "nice = -1"),
    ("process", "nice = 5", ""),
    ("process", "", "oom_score_adj = -5"),
    ("process", "", "session = \"inherit\""),
    ("process", "terminal = \"own\"", ""),
    ("process", "", "terminal = \"caller\""),
    ("process", "terminal = \"none\"", "terminal = \"own\""),
    ("process", "escapes = \"display\"", ""),
    ("process", "write_execute = false", ""),
    ("process", "", "output_files = \"give\""),
    ("process", "", "input_file = \"give\""),
    ("process", "", "descriptors = [3]"),
    ("process", "descriptors = [3]", "descriptors = [4, 3]"),
    ("process", "", "personality = [\"addr_no_randomize\"]"),
    ("enforce", "", "limits = \"prefer\""),
    ("enforce", "limits = \"prefer\"", "limits = \"off\""),
    ("enforce", "", "devices = \"prefer\""),
    (
        "devices",
        "nodes = [{ name = \"sda\", access = \"r\" }]",
        "nodes = [{ name = \"sda\", access = \"rw\" }]",
    ),
    (
        "devices",
        "nodes = [{ name = \"sda\", access = \"r\" }]",
        "nodes = [\"sda\"]",
    ),
    ("devices", "policy = \"closed\"", ""),
    ("devices", "policy = \"closed\"", "rules = [\"c 189:* r\"]"),
    (
        "devices",
        "rules = [\"c 189:* r\"]",
        "rules = [\"c 189:* rw\"]",
    ),
    (
        "devices",
        "rules = [\"c 189:5 rw\"]",
        "rules = [\"c 189:* rw\"]",
    ),
    ("devices", "rules = [\"c 189:* rw\"]", ""),
    (
        "devices",
        "nodes = [\"kvm\"]",
        "nodes = [{ name = \"kvm\", number = \"b 8:0\" }]",
    ),
    // Who inside may open it is for the mode and the owner to say.
    (
        "devices",
        "nodes = [\"kvm\"]",
        "nodes = [{ name = \"kvm\", mode = \"606\" }]",
    ),
    (
        "devices",
        "nodes = [{ name = \"kvm\", mode = \"604\" }]",
        "nodes = [{ name = \"kvm\", mode = \"606\" }]",
    ),
    (
        "devices",
        "nodes = [{ name = \"kvm\", mode = \"660\" }]",
        "nodes = [{ name = \"kvm\", mode = \"660\", owner = { uid = 0, gid = 0 } }]",
    ),
    (
        "devices",
        "nodes = [{ name = \"disk\", number = \"b 8:0\" }]",
        "nodes = [{ name = \"disk\", number = \"b 8:16\" }]",
    ),
    (
        "devices",
        "nodes = [{ name = \"disk\", number = \"b 8:0\", access = \"r\" }]",
        "nodes = [{ name = \"disk\", number = \"b 8:0\", access = \"rw\" }]",
    ),
    ("enforce", "", "namespaces = \"prefer\""),
    ("enforce", "", "idmap = \"prefer\""),
    ("enforce", "", "seccomp = \"prefer\""),
    ("enforce", "", "write_execute = \"prefer\""),
    ("enforce", "landlock = \"require\"", ""),
    (
        "landlock",
        "read = [\"/usr\"]",
        "read = [\"/usr\", { name = \"/srv/none\", optional = true }]",
    ),
    ("landlock", "read = [\"/usr/lib\"]", "read = [\"/usr\"]"),
    (
        "landlock",
        "write = []",
        "write = [{ name = \"/tmp\", optional = true }]",
    ),
    ("landlock", "write = [\"/tmp\", \"/dev\"]", ""),
    (
        "landlock",
        "execute = [\"/usr/bin\"]",
        "execute = [\"/usr/bin\", { name = \"/opt\", optional = true }]",
    ),
    ("landlock", "execute = [\"/usr\"]", ""),
    (
        "landlock",
        "ioctl = [\"/dev/null\"]",
        "ioctl = [{ name = \"/dev\", optional = true }]",
    ),
    (
        "landlock",
        "ioctl = [\"/\"]\nread = [\"/usr\"]",
        "ioctl = [\"/\"]",
    ),
    ("enforce", "", "labels = \"prefer\""),
    (
        "network",
        "mode = \"host\"\nconnect_ports = [443]",
        "mode = \"host\"",
    ),
    (
        "network",
        "mode = \"host\"\nbind_ports = [8080]",
        "mode = \"host\"\nbind_ports = [8080, 8081]",
    ),
    ("process", "apparmor = \"build\"", ""),
    (
        "process",
        "",
        "selinux = \"system_u:system_r:unconfined_t:s0\"",
    ),
    (
        "process",
        "",
        "selinux_files = \"system_u:object_r:tmp_t:s0\"",
    ),
    ("enforce", "", "landlock = \"off\""),
    (
        "[mounts]",
        "type = \"bind\"\ntarget = \"/a\"",
        "type = \"bind\"\ntarget = \"/a\"\nread_only = false",
    ),
    (
        "[mounts]",
        "type = \"bind\"\ntarget = \"/a\"",
        "type = \"bind\"\ntarget = \"/a\"\nsource = \"/b\"",
    ),
    (
        "[mounts]",
        "type = \"bind\"\ntarget = \"/a/b\"",
        "type = \"bind\"\ntarget = \"/a\"",
    ),
    (
        "[mounts]",
        "type = \"bind\"\ntarget = \"/a\"",
        "type = \"bind\"\ntarget = \"/a\"\nnosuid = false",
    ),
    (
        "[mounts]",
        "type = \"bind\"\ntarget = \"/a\"",
        "type = \"bind\"\ntarget = \"/a\"\nnodev = false",
    ),
    (
        "[mounts]",
        "type = \"bind\"\ntarget = \"/a\"\nnoexec = true",
        "type = \"bind\"\ntarget = \"/a\"",
    ),
    (
        "[mounts]",
        "type = \"bind\"\ntarget = \"/a\"\nidmap = false",
        "type = \"bind\"\ntarget = \"/a\"",
    ),
    (
        "[mounts]",
        "type = \"bind\"\ntarget = \"/a\"\nrecursive = false",
        "type = \"bind\"\ntarget = \"/a\"",
    ),
    (
        "[mounts]",
        "type = \"bind\"\ntarget = \"/a\"",
        "type = \"bind\"\ntarget = \"/a\"\nrecursive = false",
    ),
    (
        "[mounts]",
        "type = \"bind\"\ntarget = \"/a\"\nread_only = false\nnosuid = false\nnodev = false",
        "type = \"bind\"\ntarget = \"/a\"\nread_only = false\nnosuid = false\nnodev = false\npropagation = \"slave\"",
    ),
    (
        "[bus]",
        "address = \"session\"\nsee = [\"org.a.B\"]",
        "address = \"session\"\ntalk = [\"org.a.B\"]",
    ),
    (
        "[bus]",
        "address = \"session\"\ntalk = [\"org.a.B\"]",
        "address = \"session\"\nown = [\"org.a.B\"]",
    ),
    (
        "[bus]",
        "address = \"system\"",
        "address = \"system\"\ncall = [\"org.a.B=*\"]",
    ),
    (
        "[bus]",
        "address = \"system\"",
        "address = \"system\"\nbroadcast = [\"org.a.B=*@/a\"]",
    ),
    (
        "[bus]",
        "address = \"/a\"\ntarget = \"/b\"\ntalk = [\"org.a.B\"]",
        "address = \"/c\"\ntarget = \"/b\"\ntalk = [\"org.a.B\"]",
    ),
    (
        "[secrets]",
        "name = \"a\"\nfile = \"/srv/a\"",
        "name = \"a\"\nfile = \"/srv/b\"",
    ),
    (
        "[secrets]",
        "name = \"a\"\nenv = \"A\"",
        "name = \"a\"\nenv = \"B\"",
    ),
    (
        "[mounts]",
        "type = \"bind\"\ntarget = \"/a\"\nidmap = [{ source = 5, inside = 0, count = 2 }]",
        "type = \"bind\"\ntarget = \"/a\"\nidmap = [{ source = 5, inside = 0, count = 3 }]",
    ),
    ("devices", "", "nodes = [\"input/event*\"]"),
    (
        "[mounts]",
        "type = \"tmpfs\"\ntarget = \"/a\"\nsize = \"10%\"",
        "type = \"tmpfs\"\ntarget = \"/a\"\nsize = \"11%\"",
    ),
    (
        "[mounts]",
        "type = \"tmpfs\"\ntarget = \"/a\"\nsize = \"10G\"",
        "type = \"tmpfs\"\ntarget = \"/a\"\nsize = \"1%\"",
    ),
    (
        "[mounts]",
        "type = \"file\"\ntarget = \"/a\"",
        "type = \"file\"\ntarget = \"/a\"\nread_only = false",
    ),
    (
        "[mounts]",
        "type = \"proc\"\ntarget = \"/proc\"",
        "type = \"proc\"\ntarget = \"/proc\"\nread_only = false",
    ),
    (
        "[mounts]",
        "type = \"sysfs\"\ntarget = \"/sys\"",
        "type = \"sysfs\"\ntarget = \"/sys\"\nread_only = false",
    ),
    (
        "[mounts]",
        "type = \"proc\"\ntarget = \"/proc\"\nsubset = \"pid\"",
        "type = \"proc\"\ntarget = \"/proc\"",
    ),
    (
        "[mounts]",
        "type = \"proc\"\ntarget = \"/proc\"\nhidepid = \"invisible\"",
        "type = \"proc\"\ntarget = \"/proc\"\nhidepid = \"noaccess\"",
    ),
    (
        "[mounts]",
        "type = \"proc\"\ntarget = \"/proc\"\nhidepid = \"noaccess\"",
        "",
    ),
    (
        "[mounts]",
        "type = \"mask\"\ntarget = \"/etc/x\"",
        "type = \"mask\"\ntarget = \"/etc/y\"",
    ),
    (
        "[mounts]",
        "type = \"mask\"\ntarget = \"/etc/x\"",
        "type = \"directory\"\ntarget = \"/etc/x\"",
    ),
    (
        "[mounts]",
        "type = \"bind\"\ntarget = \"/etc/x\"\nsource = \"/etc/y\"",
        "type = \"bind\"\ntarget = \"/etc/x\"\nsource = \"/etc/y\"\noptional = true",
    ),
    (
        "[mounts]",
        "type = \"bind\"\ntarget = \"/a\"",
        "type = \"bind\"\ntarget = \"/a\"\nchanges = \"keep\"",
    ),
    (
        "[mounts]",
        "type = \"bind\"\ntarget = \"/a\"\nchanges = \"keep\"",
        "type = \"bind\"\ntarget = \"/a\"\nchanges = \"write\"",
    ),
    (
        "[mounts]",
        "type = \"bind\"\ntarget = \"/a\"\nchanges = \"discard\"",
        "type = \"bind\"\ntarget = \"/a\"\nchanges = \"discard\"\nchanges_on = \"disk\"",
    ),
    (
        "[mounts]",
        "type = \"bind\"\ntarget = \"/a\"\ncreate = false",
        "type = \"bind\"\ntarget = \"/a\"\ncreate = true",
    ),
    (
        "[mounts]",
        "type = \"bind\"\nsource = \"/srv/a-*\"",
        "type = \"bind\"\nsource = \"/srv/*\"",
    ),
    (
        "[mounts]",
        "type = \"bind\"\nsource = \"/srv/*/x\"",
        "type = \"bind\"\nsource = \"/srv/*\"",
    ),
    (
        "[mounts]",
        "type = \"bind\"\nsource = \"/srv/a-*\"",
        "type = \"bind\"\nsource = \"/srv/a-b\"\nread_only = false",
    ),
    (
        "[mounts]",
        "type = \"bind\"\nsource = \"/srv/a-*\"",
        "type = \"bind\"\nsource = \"/srv/a-*\"\nread_only = false",
    ),
    (
        "[mounts]",
        "type = \"directory\"\ntarget = \"/a\"",
        "type = \"sysfs\"\ntarget = \"/a\"",
    ),
    (
        "[mounts]",
        "type = \"directory\"\ntarget = \"/a\"",
        "type = \"devpts\"\ntarget = \"/a\"",
    ),
    (
        "[mounts]",
        "type = \"directory\"\ntarget = \"/a\"",
        "type = \"mqueue\"\ntarget = \"/a\"",
    ),
    (
        "[mounts]",
        "type = \"directory\"\ntarget = \"/a\"",
        "type = \"cgroup\"\ntarget = \"/a\"",
    ),
    (
        "[mounts]",
        "type = \"directory\"\ntarget = \"/a\"",
        "type = \"tmpfs\"\ntarget = \"/a\"",
    ),
    (
        "[mounts]",
        "type = \"tmpfs\"\ntarget = \"/a\"",
        "type = \"tmpfs\"\ntarget = \"/a\"\nsize = \"2G\"",
    ),
    (
        "[mounts]",
        "type = \"tmpfs\"\ntarget = \"/a\"",
        "type = \"tmpfs\"\ntarget = \"/a\"\ninodes = 2000000",
    ),
    (
        "[mounts]",
        "type = \"tmpfs\"\ntarget = \"/a\"",
        "type = \"tmpfs\"\ntarget = \"/a\"\nnosuid = false",
    ),
    ("limits", "", "realtime = \"10ms\""),
    ("limits", "pids = 9", "pids = 9\nparent = \"/srv\""),
    (
        "limits",
        "pids = 9\nparent = \"/srv\"",
        "pids = 9\nparent = \"/srv/other\"",
    ),
    ("seccomp", "file = \"/srv/app.bpf\"", ""),
    (
        "seccomp",
        "file = \"/srv/app.bpf\"",
        "file = \"/srv/other.bpf\"",
    ),
    (
        "limits",
        "io = [{ device = \"/dev/sda\", write = \"1M\" }]",
        "io = [{ device = \"/dev/sda\", write = \"2M\" }]",
    ),
    (
        "rootfs",
        "programs = [\"sh\"]",
        "programs = [\"sh\", { name = \"ls\", optional = true }]",
    ),
    (
        "seccomp",
        "allow = [{ calls = \"bpf\", when = [{ arg = 0, above = 5 }] }]",
        "allow = [{ calls = \"bpf\", when = [{ arg = 0, above = 4 }] }]",
    ),
    (
        "seccomp",
        "allow = [{ calls = \"bpf\", when = [{ arg = 0, below = 5 }] }]",
        "allow = [{ calls = \"bpf\", when = [{ arg = 0, below = 6 }] }]",
    ),
    (
        "seccomp",
        "allow = [{ calls = \"bpf\", when = [{ arg = 0, is = 1, mask = 3 }] }]",
        "allow = [{ calls = \"bpf\", when = [{ arg = 0, is = 1, mask = 1 }] }]",
    ),
    (
        "seccomp",
        "",
        "allow = [{ calls = \"bpf\", when = [{ arg = 0, not = 1 }] }]",
    ),
    (
        "seccomp",
        "allow = [{ calls = \"bpf\", when = [{ arg = 0, is = 1, wide = true }] }]",
        "allow = [{ calls = \"bpf\", when = [{ arg = 0, is = 1 }] }]",
    ),
    (
        "seccomp",
        "deny = [{ calls = \"read\", when = [{ arg = 0, below = 8 }] }]",
        "deny = [{ calls = \"read\", when = [{ arg = 0, below = 7 }] }]",
    ),
    (
        "seccomp",
        "deny = [{ calls = \"read\", when = [{ arg = 0, in = [1, 2] }] }]",
        "deny = [{ calls = \"read\", when = [{ arg = 0, in = [1] }] }]",
    ),
    (
        "seccomp",
        "deny = [{ calls = \"read\", when = [{ arg = 0, is = 1, mask = 3 }] }]",
        "deny = [{ calls = \"read\", when = [{ arg = 0, is = 1, mask = 7 }] }]",
    ),
    (
        "seccomp",
        "deny = [{ calls = \"read\", when = [{ arg = 0, not = 1 }] }]",
        "",
    ),
    (
        "seccomp",
        "deny = [{ calls = \"read\", when = [{ arg = 0, is = 1 }] }]",
        "deny = [{ calls = \"read\", when = [{ arg = 0, is = 1, wide = true }] }]",
    ),
    (
        "seccomp",
        "deny = [{ calls = \"ptrace\", with = \"EPERM\" }]",
        "deny = [{ calls = \"ptrace\", with = \"log\" }]",
    ),
    ("report", "", "file = \"/srv/report.json\""),
    ("report", "", "file = \"fd:3\""),
];

#[test]
fn every_key_that_permits_more_is_seen() {
    for (table, less, more) in WIDENINGS {
        let of = |keys: &str| {
            let text = format!("[{table}]\n{keys}\n");
            grants(&text, &ada()).unwrap_or_else(|| panic!("wrong: {text}"))
        };
        let of = |keys: &str| {
            // A table without keys is no mount.
            if keys.is_empty() {
                grants("", &ada()).unwrap()
            } else {
                of(keys)
            }
        };
        let (less, more) = (of(less), of(more));
        let change = compare(&less, &more);
        let what = format!("[{table}] {less:?} to {more:?}");
        assert!(!change.widened.is_empty(), "{what}");
        for excess in &change.widened {
            assert!(!excess.words().is_empty(), "{what}");
        }
    }
}

/// Keys that permit nothing, whatever their value, each in a table that is whole; the reasons stand at each section's
/// `grants`.
pub(crate) const HARMLESS: &[(&str, &str, &str)] = &[
    ("", "version", "version = 1"),
    ("", "description", "description = \"what it is for\""),
    ("", "extends", "extends = [\"build\"]"),
    (
        "",
        "remove",
        "extends = [\"build\"]\nremove = [\"environment.inherit.CC\"]",
    ),
    (
        "",
        "params",
        "hostname = \"${name}\"\nparams = { name = \"a\", jobs = { type = \"integer\", default = 4, description = \"how many\", choices = [4, 8] } }",
    ),
    ("", "hostname", "hostname = \"other\""),
    ("", "domainname", "domainname = \"example\""),
    (
        "[test]",
        "test",
        "name = \"all\"\ncan_read = [\"/etc\"]\ncannot_read = [\"/root/x\"]\ncan_write = [\"/tmp\"]\ncannot_write = [\"/etc\"]\n\
         can_see = [\"/etc\"]\ncannot_see = [\"/srv/x\"]\ncan_connect = [\"127.0.0.1:80\"]\ncannot_connect = [\"192.0.2.1:80\"]\n\
         can_call = [\"read\"]\ncannot_call = [\"mount\"]\ncan_execute = [\"sh\"]\ncannot_execute = [\"/root/x\"]\n\
         environment_has = [\"PATH\"]\nenvironment_has_not = [\"AWS_*\"]\nruns = [\"true\"]\nexit = 0",
    ),
    // What changes are called.
    (
        "rootfs",
        "changes_name",
        "directory = \"/srv/rootfs\"\nchanges = \"keep\"\nchanges_name = \"x\"",
    ),
    (
        "rootfs",
        "project_name",
        "project = \"keep\"\nproject_name = \"x\"",
    ),
    (
        "[mounts]",
        "changes_name",
        "type = \"bind\"\ntarget = \"/srv/data\"\nchanges = \"keep\"\nchanges_name = \"x\"",
    ),
    // What it is, and where.
    (
        "[mounts]",
        "type",
        "type = \"mask\"\ntarget = \"/srv/data\"",
    ),
    ("[mounts]", "target", "type = \"mask\"\ntarget = \"/srv\""),
    (
        "[secrets]",
        "target",
        "name = \"a\"\nenv = \"A\"\noptional = true\ntarget = \"/run/a\"",
    ),
    // Of what is the sandbox's own.
    (
        "[mounts]",
        "mode",
        "type = \"tmpfs\"\ntarget = \"/data\"\nmode = \"700\"",
    ),
    (
        "[mounts]",
        "owner",
        "type = \"tmpfs\"\ntarget = \"/data\"\nowner = { uid = 0, gid = 0 }\n[user]\nuid_map = \"root\"",
    ),
    (
        "[mounts]",
        "contents",
        "type = \"file\"\ntarget = \"/data/x\"\ncontents = \"x\\ty\"",
    ),
    (
        "[secrets]",
        "mode",
        "name = \"a\"\nfile = \"/etc/hosts\"\nmode = \"440\"",
    ),
    (
        "[secrets]",
        "owner",
        "name = \"a\"\nfile = \"/etc/hosts\"\nowner = { uid = 0, gid = 0 }\n[user]\nuid_map = \"root\"",
    ),
    (
        "[secrets]",
        "optional",
        "name = \"a\"\nenv = \"NOT_SET\"\noptional = true",
    ),
    (
        "devices",
        "pts_group",
        "pts_group = 0\n[user]\ngid_map = \"root\"",
    ),
    // How something is called, and that others can tell that it is used.
    (
        "[secrets]",
        "name",
        "name = \"b\"\nenv = \"B\"\noptional = true",
    ),
    (
        "[mounts]",
        "lock",
        "type = \"bind\"\ntarget = \"/etc/hosts\"\nlock = true",
    ),
    // Links lead to nothing but what shows anyway, and who reads is known inside alone.
    (
        "[mounts]",
        "nosymfollow",
        "type = \"bind\"\ntarget = \"/srv/data\"\nnosymfollow = true",
    ),
    (
        "[mounts]",
        "atime",
        "type = \"tmpfs\"\ntarget = \"/data\"\natime = \"strictatime\"",
    ),
    (
        "[mounts]",
        "to",
        "type = \"symlink\"\ntarget = \"/data/x\"\nto = \"../up\"",
    ),
    ("environment", "set", "set = { A = \"${HOME}/x\" }"),
    ("process", "cwd", "cwd = \"/\""),
    (
        "process",
        "argv0",
        "command = [\"true\"]\nargv0 = \"false\"",
    ),
    (
        "namespaces",
        "time_offsets",
        "time_offsets = { boottime = \"-1h\", monotonic = 5 }",
    ),
    ("process", "affinity", "affinity = \"0\""),
    ("process", "scheduler", "scheduler = \"idle\""),
    ("process", "ioprio", "ioprio = \"best-effort:7\""),
    ("process", "numa", "numa = \"interleave:0\""),
    ("process", "timer_slack", "timer_slack = \"1ms\""),
    // A process chooses for itself.
    (
        "process",
        "transparent_huge_pages",
        "transparent_huge_pages = false",
    ),
    (
        "process",
        "coredump_filter",
        "coredump_filter = [\"elf_headers\"]",
    ),
    ("process", "init", "init = false"),
    ("report", "stats", "stats = true"),
    ("seccomp", "denials", "denials = \"silent\""),
    (
        "network",
        "host_address",
        "mode = \"veth\"\naddress = [\"10.8.0.2/24\"]\nhost_address = [\"10.8.0.1/24\"]",
    ),
    ("network", "mtu", "mode = \"veth\"\nmtu = 1400"),
    (
        "network",
        "hardware_address",
        "mode = \"veth\"\nhardware_address = \"02:00:5e:10:00:01\"",
    ),
    (
        "network",
        "dns_search",
        "mode = \"user\"\ndns_search = [\"corp.example\"]",
    ),
    (
        "network",
        "dns_options",
        "mode = \"user\"\ndns_options = [\"ndots:2\", \"rotate\"]",
    ),
    ("network", "rate", "mode = \"veth\"\nrate = \"1M\""),
    (
        "network",
        "delay",
        "mode = \"veth\"\ndelay = \"50ms\"\nrate = \"1M\"",
    ),
    ("network", "loss", "mode = \"veth\"\nloss = \"1%\""),
    (
        "network",
        "pool",
        "mode = \"veth\"\npool = [\"10.7.0.0/16\"]",
    ),
    (
        "network",
        "dns",
        "mode = \"veth\"\nnat = true\ndns = [\"192.0.2.1\"]",
    ),
    // A name permits nothing.
    ("limits", "name", "pids = 9\nname = \"build-7\""),
];

/// What stands in the other lists in no table that generated machines have a plan for.
pub(crate) const SAMPLES: &[(&str, &str)] = &[
    (
        "devices",
        "policy = \"closed\"\nnodes = [{ name = \"kvm\", access = \"r\", optional = true }]",
    ),
    (
        "devices",
        "nodes = [{ name = \"fuse\", number = \"c 10:229\", mode = \"660\", owner = { uid = 0, gid = 0 } }]\n[user]\nuid_map = \"root\"",
    ),
    (
        "environment",
        "files = [{ name = \"/srv/none.env\", optional = true }]",
    ),
    (
        "landlock",
        "read = [\"/\"]\nwrite = [{ name = \"/tmp\", optional = true }, { name = \"/bin\", optional = true }]\nexecute = [{ name = \"/usr\", optional = true }]",
    ),
    (
        "landlock",
        "read = [{ name = \"/proc\", optional = true }, { name = \"/link\", optional = true }]\nioctl = [{ name = \"/dev\", optional = true }]",
    ),
    (
        "landlock",
        "execute = []\nread = []\n[process]\nby_descriptor = true\ncommand = [\"/usr/bin/true\"]\n[seccomp]\nallow = [\"execveat\"]",
    ),
    (
        "landlock",
        "write = []\n[namespaces]\nmount = \"shared\"\nuts = \"shared\"",
    ),
    (
        "[mounts]",
        "type = \"bind\"\ntarget = \"/srv/data\"\nchanges = \"discard\"\nchanges_on = \"disk\"",
    ),
    (
        "[mounts]",
        "type = \"bind\"\ntarget = \"/srv/data\"\nidmap = [{ source = 5, inside = 0, count = 1 }]\n[user]\nuid_map = \"root\"",
    ),
    (
        "[mounts]",
        "type = \"bind\"\ntarget = \"/srv/data\"\nread_only = false\nnosuid = false\nnodev = false\nnoexec = false\npropagation = \"slave\"",
    ),
    (
        "[mounts]",
        "type = \"bind\"\ntarget = \"/srv/new\"\ncreate = true\nowner = \"command\"",
    ),
    ("limits", "pids = 9\nparent = \"/\""),
    // Cgroup v1 alone has it.
    (
        "limits",
        "realtime = \"10ms\"\n[enforce]\nlimits = \"prefer\"",
    ),
    (
        "[mounts]",
        "type = \"bind\"\ntarget = \"/srv/data\"\nrecursive = false\nnoexec = true",
    ),
    (
        "network",
        "mode = \"macvlan\"\ninterface = \"br0\"\naddress = [\"10.9.0.2/24\"]\ngateway = [\"10.9.0.7\"]",
    ),
    (
        "[bus]",
        "address = \"/etc/hosts\"\ntarget = \"/run/bus/own\"\ntalk = [\"org.a.B\"]\nown = [\"org.a.C.*\"]\nsee = [\"org.a.D\"]\n\
         call = [\"org.a.E=org.a.F.g@/h/*\"]\nbroadcast = [\"org.a.E=*\"]",
    ),
    ("process", "descriptors = []"),
    (
        "process",
        "selinux = \"system_u:system_r:unconfined_t:s0\"\n[enforce]\nlabels = \"prefer\"",
    ),
    (
        "process",
        "selinux_files = \"system_u:object_r:tmp_t:s0\"\n[enforce]\nlabels = \"prefer\"",
    ),
    (
        "rootfs",
        "programs = [{ name = \"none-such\", optional = true }]",
    ),
    (
        "seccomp",
        "allow = [{ calls = \"bpf\", when = [{ arg = 0, mask = 3, not = 1 }, { arg = 1, above = 1, below = 9, wide = true }] }]",
    ),
    (
        "seccomp",
        "deny = [{ calls = \"read\", when = [{ arg = 0, mask = 3, not = 1 }, { arg = 1, above = 1, below = 9, wide = true }, { arg = 2, in = [1, 2] }], with = \"EIO\" }]",
    ),
    (
        "limits",
        "io_weight = 50\nhuge_pages = { \"2M\" = \"4M\" }\n\
         io = [{ device = \"/\", read = \"1M\", write = \"1M\", read_ops = 5, write_ops = 5, weight = 50 }]\n[enforce]\nlimits = \"prefer\"",
    ),
];

#[test]
fn no_key_is_forgotten() {
    let of = |texts: &mut dyn Iterator<Item = (&str, &str)>| -> BTreeSet<String> {
        texts
            .flat_map(|(table, keys)| listed::keys_of(table, keys))
            .collect()
    };
    let widened = of(&mut WIDENINGS
        .iter()
        .flat_map(|(table, less, more)| [(*table, *less), (*table, *more)]));
    let harmless = HARMLESS.iter().map(|(table, _, keys)| (*table, *keys));
    let samples = of(&mut harmless.chain(SAMPLES.iter().copied()));
    let all = grants("", &ada()).unwrap();
    let mut forgotten = Vec::new();
    for key in listed::all_keys() {
        // What is allowed is not refused with anything.
        if key == "seccomp.allow.with" {
            continue;
        }
        let mut parts = key.splitn(2, '.');
        let (table, name) = (parts.next().unwrap(), parts.next());
        // Each of these is one limit of the same kind.
        if table == "rlimits" {
            let name = name.unwrap_or("nofile").split('.').next().unwrap();
            let limit = format!("rlimit:{name}");
            assert!(all.iter().any(|grant| grant.key == limit), "{key}");
            continue;
        }
        // Of a key of these, and of what is in its tables, there is a sample; every other one is seen where it permits more.
        let harmless = |(of, name, _): &(&str, &str, &str)| {
            let path = match (*of, *name) {
                ("", name) | (_, name @ "test") => name.to_owned(),
                (of, name) => format!("{}.{name}", of.trim_matches(['[', ']'])),
            };
            key == path || key.starts_with(&format!("{path}."))
        };
        let known = match HARMLESS.iter().any(harmless) {
            true => samples.contains(&key),
            false => widened.contains(&key),
        };
        if !known {
            forgotten.push(key);
        }
    }
    assert!(forgotten.is_empty(), "in no test: {forgotten:#?}");
}

/// What permits the same, or less, in other words.
#[test]
fn what_permits_no_more_is_not_taken_for_more() {
    for (before, after) in [
        ("", "hostname = \"other\""),
        ("", "[process]\ncwd = \"/\"\ninit = false"),
        ("", "[process]\ncommand = [\"/home/ada/x\"]\nargv0 = \"x\""),
        (
            "[rootfs]\nprograms = [\"sh\"]",
            "[rootfs]\nprograms = [\"sh\"]\n[process]\ncommand = [\"sh\", \"/home/ada/x\"]",
        ),
        ("", "[environment]\nset = { A = \"b\" }"),
        (
            "",
            "[process]\naffinity = \"0\"\nscheduler = \"batch\"\nioprio = \"best-effort:0\"\ntimer_slack = 1",
        ),
        (
            "",
            "[namespaces]\nsysctls = { \"user.max_net_namespaces\" = \"0\" }",
        ),
        ("[namespaces]\npid = \"shared\"", ""),
        ("", "[seccomp]\npreset = \"strict\""),
        ("", "[network]\nfamilies = [\"netlink\", \"inet\"]"),
        (
            "[network]\nmode = \"veth\"\nbridge = \"br0\"\naddress = [\"10.9.0.2/24\"]",
            "[network]\nmode = \"veth\"\nbridge = \"br0\"\naddress = \"auto\"",
        ),
        (
            "[seccomp]\npreset = \"off\"",
            "[network]\nfamilies = [\"alg\"]\n[seccomp]\npreset = \"off\"",
        ),
        (
            "[network]\nfamilies = [\"unix\"]",
            "[network]\nfamilies = [\"unix\"]\n[seccomp]\npreset = \"strict\"\nallow = [\"@network-io\"]",
        ),
        (
            "[seccomp]\nallow = [\"@process\"]",
            "[seccomp]\nallow = [\"@process\"]\nrefuse = \"kill\"\ndeny = [{ calls = \"clone\", when = [{ arg = 0, mask = 2, not = 0 }], with = 0 }]",
        ),
        ("", "[rlimits]\nnofile = 1024"),
        ("", "[rlimits]\nnofile = \"hard\"\nas = { soft = \"1G\" }"),
        ("[user]\nuid_map = \"auto\"", ""),
        ("", "[user]\nuid = \"web\"\ngid = \"web\""),
        (
            "[user]\nuid_map = [{ inside = 0, outside = 0, count = 2 }]",
            "[user]\nuid_map = [{ inside = 0, outside = \"root\" }]",
        ),
        (
            "[rootfs]\nproject = \"read\"",
            "[rootfs]\nproject = \"hide\"",
        ),
        ("", "[rootfs]\nprograms = [\"sh\"]"),
        (
            "",
            "[[mounts]]\ntype = \"bind\"\ntarget = \"/work/project/src\"\nread_only = false",
        ),
        (
            "",
            "[[mounts]]\ntype = \"bind\"\ntarget = \"/elsewhere\"\nsource = \"/work/project/src\"",
        ),
        (
            "",
            "[[mounts]]\ntype = \"bind\"\ntarget = \"/a\"\nsource = \"/etc/ssl\"\nidmap = false",
        ),
        ("", "[[mounts]]\ntype = \"mask\"\ntarget = \"/etc/shadow\""),
        (
            "",
            "[[mounts]]\ntype = \"file\"\ntarget = \"/etc/hosts\"\ncontents = \"x\"",
        ),
        (
            "",
            "[[mounts]]\ntype = \"symlink\"\ntarget = \"/a\"\nto = \"/etc\"",
        ),
        (
            "[namespaces]\nmount = \"shared\"",
            "[[mounts]]\ntype = \"bind\"\ntarget = \"/root\"",
        ),
        (
            "[[mounts]]\ntype = \"bind\"\ntarget = \"/a\"\nread_only = false\nnodev = false",
            "[[mounts]]\ntype = \"bind\"\ntarget = \"/b\"\nsource = \"/a/c\"",
        ),
        (
            "[[mounts]]\ntype = \"bind\"\ntarget = \"/srv\"",
            "[[mounts]]\ntype = \"bind\"\nsource = \"/srv/x/a-*\"",
        ),
        (
            "[[mounts]]\ntype = \"bind\"\nsource = \"/srv/a-*\"",
            "[[mounts]]\ntype = \"bind\"\nsource = \"/srv/a-*\"\ntarget = \"/x/\"",
        ),
        (
            "[[mounts]]\ntype = \"bind\"\ntarget = \"/dev\"\nread_only = false\nnodev = false",
            "[devices]\nnodes = [\"kvm\"]",
        ),
    ] {
        let of = |text: &str| grants(text, &ada()).unwrap_or_else(|| panic!("wrong: {text}"));
        let (less, more) = (of(before), of(after));
        let found = beyond(&more, &less);
        assert!(found.is_empty(), "{before:?} to {after:?}: {found:?}");
    }
}
