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

[rlimits]
nofile = 256

[environment]
set = { DECLARED = "yes" }

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
