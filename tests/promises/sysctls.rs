//! Settings of the kernel that belong to the sandbox's namespaces.

use crate::support::{Project, is_root};

fn profile(settings: &str, more: &str) -> String {
    format!("version = 1\n[namespaces]\nsysctls = {{ {settings} }}\n{more}")
}

fn sys(name: &str) -> String {
    std::fs::read_to_string(format!("/proc/sys/{name}")).unwrap()
}

#[test]
fn settings_of_the_network_are_those_of_the_profile_and_the_hosts_stay() {
    let project = Project::new();
    let before = (sys("net/ipv4/ip_forward"), sys("net/core/somaxconn"));
    let settings = r#""net.ipv4.ip_forward" = "1", "net.core.somaxconn" = "321", "net.ipv4.ip_local_port_range" = "2000  3000""#;
    let script = "cd /proc/sys/net && cat ipv4/ip_forward core/somaxconn && tr '\\t' - < ipv4/ip_local_port_range";
    let said = project.run(&profile(settings, ""), script);
    assert_eq!(said.ok(), "1\n321\n2000-3000\n");
    assert_eq!(
        (sys("net/ipv4/ip_forward"), sys("net/core/somaxconn")),
        before
    );
    let plain = project.run("version = 1", "cat /proc/sys/net/ipv4/ip_forward");
    assert_eq!(plain.ok(), "0\n");
}

#[test]
fn no_more_namespaces_can_be_made_than_a_setting_says() {
    let project = Project::new();
    let open = "nested_user = true\n[seccomp]\npreset = \"off\"\n";
    let script = "unshare --user --uts true && echo made";
    let free = project.run(
        &profile("\"user.max_uts_namespaces\" = \"3\"", open),
        script,
    );
    assert_eq!(free.ok(), "made\n");
    let bound = project.run(
        &profile("\"user.max_uts_namespaces\" = \"0\"", open),
        script,
    );
    assert_eq!(bound.code, 1, "{bound:?}");
    assert!(
        bound.stderr.contains("No space left on device"),
        "{bound:?}"
    );
}

/// With the capability over mounts, the namespaces of the network and of ipc are made later than others.
#[test]
fn settings_hold_where_the_mounts_are_kept_apart_and_the_hosts_stay() {
    let project = Project::new();
    let before = (sys("net/ipv4/ip_forward"), sys("kernel/shmmni"));
    let admin = "[capabilities]\nkeep = [\"sys_admin\"]\n";
    let net = r#""net.ipv4.ip_forward" = "1""#;
    let script = "cat /proc/sys/net/ipv4/ip_forward";
    assert_eq!(project.run(&profile(net, admin), script).ok(), "1\n");
    let said = project.run(&profile(r#""kernel.shmmni" = "99""#, admin), "true");
    let said = said.fails(125);
    assert!(
        said.contains("only root of the user namespace may set"),
        "{said}"
    );
    assert_eq!((sys("net/ipv4/ip_forward"), sys("kernel/shmmni")), before);
}

#[test]
fn settings_of_the_ipc_namespace_are_those_of_the_profile() {
    let project = Project::new();
    let before = (sys("kernel/shmmni"), sys("fs/mqueue/msg_max"));
    let settings =
        r#""kernel.shmmni" = "123", "kernel.sem" = "250 32000 32 100", "fs.mqueue.msg_max" = "12""#;
    let script = "cat /proc/sys/kernel/shmmni /proc/sys/fs/mqueue/msg_max";
    // Root of the user namespace has an id there.
    let root = "[user]\nuid_map = \"root\"\n";
    if !is_root() {
        let said = project.run(&profile(settings, root), script);
        assert_eq!(said.ok(), "123\n12\n");
    }
    let said = project.run(&profile(settings, ""), script);
    if is_root() {
        assert_eq!(said.ok(), "123\n12\n");
    } else {
        let said = said.fails(125);
        assert!(
            said.contains("only root of the user namespace may set"),
            "{said}"
        );
        assert!(said.contains("sandbox.toml:3"), "{said}");
    }
    assert_eq!((sys("kernel/shmmni"), sys("fs/mqueue/msg_max")), before);
}

#[test]
fn a_setting_that_cannot_be_made_is_refused_with_its_line() {
    let project = Project::new();
    for (setting, words) in [
        (r#""net.ipv4.no_such_thing" = "1""#, "no such setting"),
        (
            r#""net.ipv4.ip_local_port_range" = "many""#,
            "takes no such value",
        ),
        // What the kernel rounds is not what the profile says.
        (
            r#""net.ipv4.conf.all.log_martians" = "0x1""#,
            "has taken another value",
        ),
    ] {
        let said = project.run(&profile(setting, ""), "echo started");
        assert!(said.stdout.is_empty(), "{setting}: {said:?}");
        let said = said.fails(125);
        assert!(said.contains(words), "{setting}: {said}");
        assert!(said.contains("sandbox.toml:3"), "{setting}: {said}");
    }
}
