//! The profiles of the subjects: between them they take every step that a plan can have.

/// Asks for something of every kind, so that every kind of step can fail.
pub(crate) const EVERYTHING: &str = r#"
hostname = "inside"
domainname = "inside.example"

[user]
groups = []

[namespaces.time_offsets]
boottime = "1h"

[capabilities]
keep = ["net_raw", "kill"]
ambient = ["net_raw"]

[landlock]
read = ["/"]
write = ["/dev", "/tmp", { name = "${PROJECT}", optional = true }]
execute = ["/usr", "/checker"]

[rlimits]
nofile = 256

[environment]
set = { DECLARED = "yes" }

[seccomp]
allow = ["keyctl"]

[process]
output_files = "give"
nice = 19
oom_score_adj = 900
umask = "027"
affinity = "0"
scheduler = "batch"
ioprio = "best-effort:7"
timer_slack = 0.001
personality = ["addr_no_randomize"]
WRITE_EXECUTE

[[mounts]]
type = "tmpfs"
target = "${PROJECT}/missing"

[[mounts]]
type = "bind"
source = "${PROJECT}/made"
target = "/made"
create = true

[[mounts]]
type = "file"
target = "/answers/answer"
contents = "42"

[[mounts]]
type = "symlink"
target = "/answers/question"
to = "answer"

[[mounts]]
type = "mask"
target = "/etc/passwd"

[[mounts]]
type = "mqueue"
target = "/dev/mqueue"
"#;

/// What root can have besides.
pub(crate) const OF_ROOT: &str = r#"
[limits]
pids = 50
memory = "200M"
cpu = 1.5
cpu_weight = 50
cpu_time = 60

[[mounts]]
type = "cgroup"
target = "/sys/fs/cgroup"
"#;

/// What of the host is handed in, and what else a command can be given: as little of it stands in the others as can be.
pub(crate) const GRANTED: &str = r#"
[user]
USER

[capabilities]
keep = ["net_bind_service"]
ambient = ["net_bind_service"]
new_privileges = true
securebits = ["no_setuid_fixup", "keep_caps_locked"]

[environment]
files = ["BENCH/tree/variables", { name = "BENCH/tree/none", optional = true }]

[process]
stdin = "BENCH/tree/input"
stdout = "BENCH/out"
stderr = "append:BENCH/tree/complaints"
output_files = "give"
by_descriptor = true
keyring = "inherit"
tsc = false
transparent_huge_pages = false
coredump_filter = ["elf_headers", "file_shared"]
OPTIONAL

[rlimits]
core = "infinity"

[seccomp]
allow = ["keyctl"]

[[secrets]]
name = "of-a-variable"
env = "SECRET"

[[secrets]]
name = "of-a-file"
file = "BENCH/tree/key"
target = "/answers/key"
mode = "440"
OWNER

[[mounts]]
type = "bind"
source = "BENCH/tree/variables"
target = "/locked"
lock = true

[[mounts]]
type = "tmpfs"
target = "/owned"
mode = "751"
noexec = true
OWNER

[[mounts]]
type = "bind"
source = "BENCH/tree"
target = "/mapped"
nosymfollow = true
IDMAP
"#;

/// What root can have besides: a range of ids, and owners among them.
pub(crate) const RANGE: &str = r#"
uid_map = [{ inside = 0, outside = 2000000000, count = 10 }]
gid_map = [{ inside = 0, outside = 2000000000, count = 10 }]
uid = 1
gid = 1
groups = [4]
"#;

/// Rules about devices and packets, which are root's alone, for a command that could open any of them.
pub(crate) const DEVICES: &str = r#"
[namespaces]
user = "shared"

[user]
uid = 0
gid = 0

[network]
mode = "host"
peers = ["127.0.0.0/8"]

[devices]
nodes = [{ name = "loop-control", access = "r", optional = true }, "net/tu?"]
policy = "closed"

[[mounts]]
type = "bind"
source = "/dev/loop-control"
target = "/nodes/loop-control"
nodev = false
read_only = false
optional = true

[process]
output_files = "give"
"#;

/// Between the host's network and the sandbox's: a pair of interfaces.
pub(crate) const PAIR: &str = r#"
[network]
mode = "veth"
address = ["172.2.0.2/24"]
nat = true
rate = "1M"
mtu = 1400
publish = ["127.0.0.1:8080:8000", "8443:8000/tcp"]
forward = ["2222:2200"]

[process]
output_files = "give"
"#;

/// On the host's network with an address there.
pub(crate) const MACHINE: &str = r#"
[network]
mode = "macvlan"
interface = "wan0"
address = ["198.51.100.9/24"]
gateway = ["198.51.100.1"]
dns = ["198.51.100.1"]
mtu = 1400

[process]
output_files = "give"
"#;

/// Limits of the group that no other has. Of the second part are those that cgroup v2 alone has.
pub(crate) const MORE_LIMITS: [&str; 2] = [
    r#"
[limits]
cpu = 1
cpu_period = "50ms"
cpu_burst = "10ms"

[[mounts]]
type = "cgroup"
target = "/sys/fs/cgroup"
"#,
    r#"
memory = "200M"
memory_high = "150M"
oom_group = false
"#,
];

/// The groups of cgroup v2 that stands beside v1, which no mount of a sandbox's own shows.
pub(crate) const BESIDE: &str = r#"
[[mounts]]
type = "bind"
source = "/sys/fs/cgroup/unified"
target = "/unified"
"#;

// The files that take the output are the command's own in each: what it says of itself is the evidence, and is
// not to hang on the calls by which its output would be handed on.

/// Without an init, with as little as can be; a map and a filter of another kind.
pub(crate) const NO_INIT: &str = r#"
[rootfs]
empty = true

[user]
uid_map = "root"

[network]
mode = "none"

[seccomp]
preset = "strict"

[process]
init = false
session = "inherit"
output_files = "give"
"#;

/// Namespaces that are joined or shared, so that other processes do the work.
pub(crate) const JOINED: &str = r#"
[namespaces]
ipc = "/proc/self/ns/ipc"
pid = "shared"

[process]
output_files = "give"
"#;

/// Something may be reached, at PLACE: a gate, whose sockets and threads are the supervisor's.
pub(crate) const REACH: &str = r#"
[network]
allow = ["PLACE", "allowed.example:80", "PLACE/udp"]

[process]
output_files = "give"
"#;

/// Trees that are changed aside: kept, thrown away on disk and in memory.
pub(crate) const CHANGES: &str = r#"
[rootfs]
project = "keep"
project_name = "NAME"

[[mounts]]
type = "bind"
source = "TREE"
target = "/disk"
changes = "discard"
changes_on = "disk"

[[mounts]]
type = "bind"
source = "TREE"
target = "/memory"
changes = "discard"

[process]
output_files = "give"
"#;

/// What the others have: for runs that differ by how they are asked for.
pub(crate) const PLAIN: &str = r#"
[process]
output_files = "give"
"#;

/// What a group of the sandbox's own takes.
pub(crate) const LIMITS: &str = r#"
[limits]
pids = 50
"#;

/// What an undisturbed run has to tell, by the name of the subject, whoever calls: what it is asked for came true.
pub(crate) const ASKED: &[(&str, &[&str])] = &[
    (
        "everything",
        &[
            "hostname: inside",
            "domainname: inside.example",
            "session keyring: its own",
            "time-stamp counter: Ok(Readable)",
            "status: CapAmb: 0000000000002000",
            "oom_score_adj: 900",
            "personality: 00040000",
            "environment DECLARED=yes",
            "file /answers/answer: 100644 ",
            "timens_offsets: boottime         3600",
        ],
    ),
    (
        "granted",
        &[
            "session keyring: the caller's",
            "time-stamp counter: Ok(RaiseSIGSEGV)",
            "securebits: Ok(CapabilitiesSecureBits(NO_SETUID_FIXUP | KEEP_CAPS_LOCKED))",
            "status: NoNewPrivs: 0",
            "status: CapAmb: 0000000000000400",
            "status: THP_enabled: 0",
            "coredump_filter: 00000018",
            "input: \"the input\" Ok(9)",
            "descriptor 0: [bench]/tree/input",
            "descriptor 1: [bench]/out",
            "descriptor 2: [bench]/tree/complaints",
            "environment FROM_A_FILE=yes",
            "file /answers/key: 100440 ",
            "file /run/secrets/of-a-variable: 100400 ",
            "file /owned: 40751 ",
            "lock on /locked: Ok(0)",
        ],
    ),
    (
        "devices",
        &["device /dev/full: to read Ok(()), to write Ok(())"],
    ),
    (
        "pair",
        &[
            "device: eth0",
            "largest packet: 1400",
            "input: \"the input\" Ok(9)",
            "attempt to reach what is permitted: Ok(\"reached\")",
            "attempt to reach what is permitted: Ok(\"rate 8388Kbit burst ",
        ],
    ),
    (
        "machine",
        &[
            "device: eth0",
            "largest packet: 1400",
            "address:            |-- 198.51.100.9",
        ],
    ),
];

/// And what it tells where root calls.
pub(crate) const ASKED_BY_ROOT: &[(&str, &[&str])] = &[(
    "granted",
    &[
        "file /answers/key: 100440 2:3 ",
        "file /owned: 40751 2:3 ",
        "file /mapped/key: 100644 2:2 ",
        "status: Uid: 1\t1\t1\t1",
        "status: Groups: 4",
    ],
)];
