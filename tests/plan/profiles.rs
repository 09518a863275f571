//! Generated profiles.

use crate::listed::{listed, samples, with};
use proptest::collection::{btree_set, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

/// A string as it stands in a profile.
fn quoted(text: impl AsRef<str>) -> String {
    format!("{:?}", text.as_ref())
}

fn one_of(words: &'static [&'static str]) -> BoxedStrategy<String> {
    select(words).prop_map(quoted).boxed()
}

fn some_of(words: &'static [&'static str]) -> BoxedStrategy<String> {
    subsequence(words, 0..=words.len().min(4))
        .prop_map(|words| format!("{words:?}"))
        .boxed()
}

fn number(range: std::ops::Range<u32>) -> BoxedStrategy<String> {
    range.prop_map(|n| n.to_string()).boxed()
}

/// Some of these keys, each with a value.
fn keys(all: Vec<(&'static str, BoxedStrategy<String>)>) -> BoxedStrategy<String> {
    let all: Vec<_> = all
        .into_iter()
        .map(|(key, value)| option::of(value.prop_map(move |v| format!("{key} = {v}\n"))))
        .collect();
    all.prop_map(|lines| lines.into_iter().flatten().collect())
        .boxed()
}

fn table(
    name: &'static str,
    all: Vec<(&'static str, BoxedStrategy<String>)>,
) -> BoxedStrategy<String> {
    option::weighted(0.4, keys(all))
        .prop_map(move |keys| keys.map_or(String::new(), |k| format!("[{name}]\n{k}")))
        .boxed()
}

fn namespace(kind: &'static str) -> BoxedStrategy<String> {
    let other = match kind {
        "net" => "name:db".into(),
        kind => format!("/proc/1/ns/{kind}"),
    };
    prop_oneof![
        12 => Just(quoted("new")),
        2 => Just(quoted("shared")),
        2 => Just(quoted(other)),
    ]
    .boxed()
}

fn id_map() -> BoxedStrategy<String> {
    let ranges = vec((0u32..3, 1u32..2000), 1..4).prop_map(|ranges| {
        let ranges: Vec<_> = (0u32..)
            .zip(ranges)
            .map(|(at, (gap, count))| {
                let (inside, outside) = (at * 5000 + gap, 100_000 + at * 5000);
                let outside = match gap {
                    0 if at == 0 => quoted("web"),
                    _ => outside.to_string(),
                };
                format!("{{ inside = {inside}, outside = {outside}, count = {count} }}")
            })
            .collect();
        format!("[{}]", ranges.join(", "))
    });
    prop_oneof![3 => one_of(&["self", "root", "auto"]), 1 => ranges].boxed()
}

const TARGETS: &[&str] = &[
    "/data",
    "/data/deep/down",
    "/etc/hosts",
    "/etc/missing",
    "/etc/ssl",
    "/etc/ssl/new",
    "/home/ada/.cache",
    "/link/below",
    "/loop",
    "/proc",
    "/proc/sys/kernel",
    "/proc/cpuinfo",
    "/srv/rootfs/etc",
    "/tmp",
    "/tmp/inner",
    "/usr/bin/tool",
    "/usr/lib",
    "/usr/share/doc/new",
    "/var/run/x",
    "/work/project",
    "/work/project/node_modules",
    "/work/project/src",
    "/work/project/planted/x",
];

const SOURCES: &[&str] = &[
    "/etc/hosts",
    "/etc/ssl",
    "/home/ada/.config/app",
    "/link",
    "/link/deep/er",
    "/missing",
    "/srv/data",
    "/usr/lib",
    "/work/project/src",
    "build",
    "planted/x",
    "src",
    "src/made/deep",
];

fn mount() -> BoxedStrategy<String> {
    let flags = || {
        vec![
            ("nosuid", one_of_plain(&["true", "false"])),
            ("nodev", one_of_plain(&["true", "false"])),
            ("noexec", one_of_plain(&["true", "false"])),
            ("read_only", one_of_plain(&["true", "false"])),
        ]
    };
    let mode = || ("mode", one_of_plain(&["0o755", "\"700\"", "0o1777"]));
    let bind = [
        flags(),
        vec![
            ("source", one_of(SOURCES)),
            ("optional", one_of_plain(&["true", "true", "false"])),
            ("create", one_of_plain(&["true", "true", "false"])),
            ("recursive", one_of_plain(&["true", "true", "false"])),
            ("idmap", one_of_plain(&["true", "false"])),
        ],
    ];
    let tmpfs = [
        flags(),
        vec![
            ("size", one_of_plain(&["65536", "\"64M\"", "\"1.5G\""])),
            ("inodes", number(1..100_000)),
            mode(),
        ],
    ];
    let kind = prop_oneof![
        4 => keys(bind.concat()).prop_map(|k| ("bind", k)),
        1 => (one_of(SOURCES), select(&["optional", "create"][..])).prop_map(|(source, missing)| ("bind", format!(
            "source = {source}\n{missing} = true\nread_only = false\nnosuid = false\nnodev = false\npropagation = \"slave\"\n"
        ))),
        1 => (one_of(SOURCES), select(&["keep", "discard"][..])).prop_map(|(source, changes)| ("bind", format!(
            "source = {source}\nchanges = \"{changes}\"\n"
        ))),
        3 => keys(tmpfs.concat()).prop_map(|k| ("tmpfs", k)),
        2 => select(&["proc", "sysfs", "devpts", "mqueue", "mask"][..])
            .prop_map(|kind| (kind, String::new())),
        1 => keys(vec![("contents", one_of(&["", "hello\n", "x\ty"])), mode()])
            .prop_map(|k| ("file", k)),
        1 => one_of(&["/usr/lib", "../up", "name"]).prop_map(|to| ("symlink", format!("to = {to}\n"))),
        1 => keys(vec![mode()]).prop_map(|k| ("directory", k)),
    ];
    (kind, select(TARGETS))
        .prop_map(|((kind, keys), target)| {
            format!("[[mounts]]\ntype = \"{kind}\"\ntarget = \"{target}\"\n{keys}")
        })
        .boxed()
}

/// A bind of all that a pattern stands for.
fn several() -> BoxedStrategy<String> {
    let flags = keys(vec![
        ("read_only", one_of_plain(&["true", "false"])),
        ("optional", one_of_plain(&["true", "true", "false"])),
        ("nodev", one_of_plain(&["true", "false"])),
    ]);
    let sources = [
        "/dev/*u*",
        "/link/*",
        "/srv/*",
        "/srv/rootfs/*/[a-s]*",
        "/usr/*",
        "/work/project/p*",
        "/work/*/*",
        "*",
        "?rc",
    ];
    let targets = [
        "",
        "target = \"/several/\"\n",
        "target = \"/usr/share/new/\"\n",
    ];
    (select(sources.to_vec()), select(targets.to_vec()), flags)
        .prop_map(|(source, target, flags)| {
            format!("[[mounts]]\ntype = \"bind\"\nsource = \"{source}\"\n{target}{flags}")
        })
        .boxed()
}

fn one_of_plain(words: &'static [&'static str]) -> BoxedStrategy<String> {
    select(words).prop_map(str::to_owned).boxed()
}

fn rootfs() -> BoxedStrategy<String> {
    prop_oneof![
        8 => Just(String::new()),
        4 => Just("directory = \"/srv/rootfs\"\n".to_owned()),
        1 => Just("directory = \"/srv/rootfs\"\nchanges = \"write\"\n".to_owned()),
        1 => Just("directory = \"/srv/rootfs\"\nchanges = \"keep\"\n".to_owned()),
        1 => Just("directory = \"/srv/rootfs\"\nchanges = \"discard\"\n".to_owned()),
        1 => Just("directory = \"/srv/missing\"\n".to_owned()),
        2 => Just("host = \"all\"\n".to_owned()),
        3 => Just("empty = true\n".to_owned()),
        1 => Just("archive = \"/srv/rootfs.tar.zst\"\n".to_owned()),
        1 => Just(format!("image = \"registry:quay.io/a:1@sha256:{}\"\n", "a".repeat(64))),
        1 => Just("image = \"/srv/image\"\nimage_config = true\n".to_owned()),
    ]
    .prop_flat_map(|source| {
        keys(vec![(
            "project",
            one_of(&["write", "read", "hide", "keep", "discard"]),
        )])
        .prop_map(move |project| format!("[rootfs]\n{source}{project}"))
    })
    .boxed()
}

fn top() -> BoxedStrategy<String> {
    keys(vec![
        ("version", Just("1".to_owned()).boxed()),
        ("description", one_of(&["", "what it is for"])),
        ("hostname", "[a-z][a-z0-9.-]{0,30}".prop_map(quoted).boxed()),
        (
            "domainname",
            "[a-z][a-z0-9.-]{0,30}".prop_map(quoted).boxed(),
        ),
    ])
}

fn namespaces() -> BoxedStrategy<String> {
    table(
        "namespaces",
        vec![
            ("user", namespace("user")),
            ("mount", namespace("mnt")),
            ("pid", namespace("pid")),
            ("ipc", namespace("ipc")),
            ("uts", namespace("uts")),
            ("net", namespace("net")),
            ("cgroup", namespace("cgroup")),
            ("time", namespace("time")),
            ("nested_user", one_of_plain(&["true", "false"])),
            (
                "time_offsets",
                one_of_plain(&["{}", "{}", "{ boottime = \"-1h\", monotonic = 5 }"]),
            ),
            (
                "sysctls",
                one_of_plain(&[
                    "{}",
                    "{ \"net.ipv4.ip_forward\" = \"1\" }",
                    "{ \"net.ipv4.tcp_rmem\" = \"1 2 3\" }",
                    "{ \"user.max_net_namespaces\" = \"0\" }",
                    "{ \"fs.mqueue.msg_max\" = \"5\" }",
                ]),
            ),
        ],
    )
}

/// A generated machine knows `web` and `tape`.
fn id() -> BoxedStrategy<String> {
    prop_oneof![6 => number(0..3000), 1 => one_of(&["root", "web", "lost"])].boxed()
}

fn identity() -> BoxedStrategy<String> {
    let groups = btree_set(0u32..3000, 0..4).prop_map(|g| format!("{g:?}"));
    let groups = groups.prop_map(|g| g.replace('{', "[").replace('}', "]"));
    table(
        "user",
        vec![
            ("uid", id()),
            ("gid", id()),
            ("groups", groups.boxed()),
            ("uid_map", id_map()),
            ("gid_map", id_map()),
        ],
    )
}

fn privileges() -> BoxedStrategy<String> {
    let kept = some_of(&["net_raw", "CAP_CHOWN", "sys_admin", "all", "kill"]);
    let more = prop_oneof![
        8 => Just(""),
        1 => Just("new_privileges = true\n"),
        1 => Just("securebits = [\"noroot\"]\n"),
    ];
    let capabilities = (kept, any::<bool>(), more).prop_map(|(kept, ambient, more)| {
        let ambient = if ambient {
            format!("ambient = {kept}\n")
        } else {
            String::new()
        };
        format!("[capabilities]\nkeep = {kept}\n{ambient}{more}")
    });
    let seccomp = table(
        "seccomp",
        vec![
            ("preset", one_of(&["default", "strict", "none", "off"])),
            (
                "refuse",
                one_of_plain(&["\"EACCES\"", "\"kill\"", "\"trap\"", "\"log\"", "0", "1337"]),
            ),
            (
                "foreign",
                one_of(if cfg!(target_arch = "x86_64") {
                    &["ENOSYS", "kill", "trap", "same"]
                } else {
                    &["ENOSYS", "kill", "trap"]
                }),
            ),
            (
                "allow",
                calls(&[
                    "\"ptrace\"",
                    "\"bpf\"",
                    "\"@system-service\"",
                    "\"@raw-io\"",
                ]),
            ),
            ("deny", calls(&["\"socket\"", "\"kill\"", "\"@swap\""])),
        ],
    );
    (option::of(capabilities), seccomp)
        .prop_map(|(capabilities, seccomp)| capabilities.unwrap_or_default() + &seccomp)
        .boxed()
}

/// Entries of a list of system calls.
fn calls(plain: &'static [&'static str]) -> BoxedStrategy<String> {
    let test = prop_oneof![
        (0..6u32, 0..40u32).prop_map(|(arg, n)| format!("{{ arg = {arg}, is = {n} }}")),
        (0..6u32, 1..9u32)
            .prop_map(|(arg, n)| format!("{{ arg = {arg}, mask = 0x{n:x}, not = {n} }}")),
        (0..6u32).prop_map(|arg| format!("{{ arg = {arg}, in = [-1, 0x10, 0o7] }}")),
        (0..6u32, 1..9u32).prop_map(|(arg, n)| format!(
            "{{ arg = {arg}, above = {n}, below = {}, wide = true }}",
            n + 3
        )),
    ];
    let with = select(&["", ", with = \"ENOENT\"", ", with = \"kill\""][..]);
    let entry = (
        select(&["\"personality\"", "[\"clone\", \"@mount\"]"][..]),
        vec(test, 1..3),
        with,
    )
        .prop_map(|(calls, when, with)| {
            format!("{{ calls = {calls}, when = [{}]{with} }}", when.join(", "))
        });
    let plain = subsequence(plain, 0..=plain.len());
    (plain, vec(entry, 0..3))
        .prop_map(|(plain, entries)| {
            let all: Vec<_> = plain
                .iter()
                .map(|p| (*p).to_owned())
                .chain(entries)
                .collect();
            format!("[{}]", all.join(", "))
        })
        .boxed()
}

fn resources() -> BoxedStrategy<String> {
    let bound = || {
        one_of_plain(&[
            "1024",
            "\"64M\"",
            "\"infinity\"",
            "\"inherit\"",
            "{ soft = 1, hard = 2 }",
            "{ soft = 1 }",
            "{ hard = 2 }",
            "\"hard\"",
        ])
    };
    let limits = table(
        "limits",
        vec![
            ("pids", number(2..1000)),
            ("memory", one_of(&["64M", "1G", "50%"])),
            ("memory_high", one_of(&["32M", "2G"])),
            ("cpu", one_of_plain(&["0.5", "2", "0.01", "\"50%\""])),
            ("cpu_weight", number(1..10_001)),
            ("cpu_time", one_of(&["2.5s", "1h"])),
            (
                "io",
                one_of_plain(&[
                    "[]",
                    "[{ device = \"/dev/sda\", read = \"1M\" }]",
                    "[{ device = \"src\", write_ops = 5 }, { device = \"/\", read_ops = 7 }]",
                ]),
            ),
            ("cpuset", one_of(&["0", "0-1"])),
            ("wall_time", one_of(&["500ms", "1h30m"])),
            ("output", one_of(&["0", "10M"])),
            ("grace", one_of_plain(&["0", "5", "\"infinity\""])),
            ("stop_signal", one_of(&["SIGINT", "SIGRTMIN+3"])),
        ],
    );
    let rlimits = table(
        "rlimits",
        vec![
            ("nofile", bound()),
            ("core", bound()),
            ("as", bound()),
            ("stack", bound()),
        ],
    );
    (limits, rlimits).prop_map(|(l, r)| l + &r).boxed()
}

fn rest() -> BoxedStrategy<String> {
    let environment = table(
        "environment",
        vec![
            ("inherit", some_of(&["CI", "LC_*", "*", "CARGO_*"])),
            (
                "set",
                one_of_plain(&["{}", "{ A = \"${HOME}/x\" }", "{ PATH = \"\" }"]),
            ),
            ("unset", some_of(&["HOME", "L*"])),
            (
                "files",
                one_of_plain(&[
                    "[\"a.env\"]",
                    "[{ name = \"/srv/b.env\", optional = true }]",
                ]),
            ),
        ],
    );
    let process = table(
        "process",
        vec![
            (
                "command",
                one_of_plain(&["[\"true\"]", "[\"sh\", \"-c\", \"\"]"]),
            ),
            ("cwd", one_of(&["/", "/work/project", "/data"])),
            ("umask", one_of_plain(&["0o022", "\"077\""])),
            ("init", one_of_plain(&["true", "true", "false"])),
            ("nice", number(0..20)),
            ("oom_score_adj", number(0..1001)),
            ("session", one_of(&["new", "inherit"])),
            ("output_files", one_of(&["relay", "give"])),
            ("input_file", one_of(&["read", "give"])),
            ("terminal", one_of(&["auto", "own", "caller", "none"])),
            ("escapes", one_of(&["all", "display"])),
            ("write_execute", one_of_plain(&["true", "false"])),
            ("descriptors", one_of_plain(&["[]", "[]", "[]", "[3]"])),
            ("apparmor", one_of(&["build"])),
            ("affinity", one_of(&["0", "0-3,70"])),
            ("scheduler", one_of(&["other", "batch", "idle"])),
            ("ioprio", one_of(&["idle", "best-effort", "best-effort:7"])),
            ("numa", one_of(&["local", "bind:0", "interleave:0-1"])),
            ("timer_slack", one_of(&["1ms", "2s"])),
            ("personality", some_of(&["linux32", "addr_no_randomize"])),
            ("stdin", one_of(&["inherit", "null", "/srv/in"])),
            (
                "stdout",
                one_of(&["inherit", "null", "/srv/out", "./log", "append:./more"]),
            ),
            ("stderr", one_of(&["inherit", "null", "./log"])),
            ("keyring", one_of(&["new", "inherit"])),
            ("tsc", one_of_plain(&["true", "false"])),
            (
                "no_speculation",
                some_of(&["store_bypass", "indirect_branch"]),
            ),
            ("transparent_huge_pages", one_of_plain(&["true", "false"])),
            (
                "coredump_filter",
                some_of(&["anonymous_private", "elf_headers"]),
            ),
        ],
    );
    let enforce = table(
        "enforce",
        vec![
            ("limits", one_of(&["prefer", "prefer", "off", "require"])),
            ("namespaces", one_of(&["require", "prefer"])),
            ("idmap", one_of(&["require", "prefer", "off"])),
            ("seccomp", one_of(&["require", "prefer", "off"])),
            ("write_execute", one_of(&["require", "prefer", "off"])),
            ("landlock", one_of(&["require", "prefer", "off"])),
            ("labels", one_of(&["require", "prefer", "off"])),
        ],
    );
    let devices = table(
        "devices",
        vec![
            ("nodes", some_of(&["kvm"])),
            ("shm_size", one_of(&["64K", "1G"])),
        ],
    );
    let network = prop_oneof![
        12 => table("network", vec![("mode", one_of(&["none", "loopback", "host"]))]),
        1 => networks(),
        // Only with a network of its own.
        1 => table(
            "network",
            vec![
                ("mode", one_of(&["loopback"])),
                (
                    "allow",
                    some_of(&[
                        "a.example:443",
                        "*.b.example:80",
                        "10.0.0.0/8:5432",
                        "c.example:53/udp",
                    ]),
                ),
                ("deny", some_of(&["x.b.example", "10.1.0.0/16"])),
                ("forward", some_of(&["2222:22", "53:5353/udp"])),
            ],
        ),
    ];
    (environment, process, enforce, devices, network)
        .prop_map(|(a, b, c, d, e)| [a, b, c, d, e].concat())
        .boxed()
}

/// A network that is connected with others, or joined.
fn networks() -> BoxedStrategy<String> {
    let keys = select(vec![
        "mode = \"user\"",
        "mode = \"host\"\nconnect_ports = [443]\nbind_ports = [0, 8080]",
        "mode = \"user\"\nforward = \"auto\"",
        "mode = \"user\"\nmtu = 1400\npublish = [\"8080:80\", \"[::1]:53:53/udp\"]",
        "mode = \"veth\"",
        "mode = \"veth\"\nnat = true\ndns = [\"192.0.2.1\"]",
        "mode = \"veth\"\naddress = [\"10.8.0.2/24\", \"fd00:8::2/64\"]\npublish = [\"8080:80\"]",
        "mode = \"veth\"\naddress = \"auto\"\nbridge = \"br0\"\nisolated = true\nnat = true",
        "mode = \"veth\"\naddress = \"auto\"\nbridge = \"br0\"\nnames = true\ndns = [\"192.0.2.1\"]\nforward = [\"22:22\"]",
        "mode = \"veth\"\naddress = [\"10.9.0.2/24\"]",
        "mode = \"macvlan\"\ninterface = \"eth0\"\naddress = [\"10.9.0.2/24\"]\ngateway = [\"10.9.0.1\"]",
        "mode = \"macvlan\"\ninterface = \"eth0\"",
        "mode = \"veth\"\npublish = [\"8000-8003:80-83\"]\nforward = [\"22:22\"]",
        "mode = \"join\"\nnamespace = \"lab\"",
        "mode = \"join\"\nbridge = \"br9\"",
    ]);
    keys.prop_map(|keys| format!("[network]\n{keys}\n")).boxed()
}

/// A profile whose values are valid one by one; together they may contradict each other. Some have keys that nothing else
/// here knows: every key of the language.
pub(crate) fn profile() -> BoxedStrategy<String> {
    let samples = subsequence(samples(), 1..4);
    prop_oneof![
        6 => generated(),
        1 => listed(),
        1 => (generated(), samples).prop_map(|(text, samples)| with(&text, &samples)),
    ]
    .boxed()
}

fn generated() -> BoxedStrategy<String> {
    let mount = prop_oneof![8 => mount(), 1 => several()];
    let mounts = vec(mount, 0..5).prop_map(|mounts| mounts.concat());
    (
        top(),
        rootfs(),
        namespaces(),
        identity(),
        privileges(),
        resources(),
        rest(),
        mounts,
    )
        .prop_map(|(a, b, c, d, e, f, g, h)| [a, b, c, d, e, f, g, h].concat())
        .boxed()
}
