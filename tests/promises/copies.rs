//! How far a mount is a copy of its source, and what proc shows.

use crate::support::{Done, Project, done, is_root, program, skip};
use std::process::Command;

/// Runs a script in a mount namespace of its own, in which mounts can be made and shared.
fn elsewhere(project: &Project, script: &str) -> Done {
    let mut command = Command::new("unshare");
    let arguments = ["--mount", "--propagation", "private", "sh", "-c", script];
    command.args(arguments).current_dir(project.path());
    done(&mut command)
}

fn bind(source: &str, keys: &str) -> String {
    format!(
        "version = 1\n[[mounts]]\ntype = \"bind\"\ntarget = \"/seen\"\nsource = \"{source}\"\n{keys}\n"
    )
}

#[test]
fn a_mount_without_what_is_below_it_shows_what_lies_under_that() {
    let name = "a_mount_without_what_is_below_it_shows_what_lies_under_that";
    if !is_root() {
        return skip(name, "only root can mount something below a source");
    }
    let project = Project::new();
    project.write("source/below/under", "under\n");
    let source = project.path().join("source");
    let source = source.to_str().unwrap();
    let program = program();
    let script = format!(
        "set -e
        mount -t tmpfs none {source}/below
        touch {source}/below/over
        {} --profile sandbox.toml -- ls /seen/below",
        program.display()
    );
    for (recursive, shown) in [("true", "over\n"), ("false", "under\n")] {
        // With the owners mapped, by the supervisor; and with the host's user namespace, by init.
        for rest in ["", "[namespaces]\nuser = \"shared\""] {
            let profile = bind(source, &format!("recursive = {recursive}\n{rest}"));
            project.write("sandbox.toml", profile);
            assert_eq!(
                elsewhere(&project, &script).ok(),
                shown,
                "{recursive} {rest}"
            );
        }
    }
    // Whoever could not unmount it has to be shown it.
    let profile = bind(source, "recursive = false\nidmap = false");
    project.write("sandbox.toml", profile);
    let said = elsewhere(&project, &script).fails(125);
    assert!(said.contains("below is mounted below the source"), "{said}");
    assert!(said.contains("sandbox.toml:2"), "{said}");
}

#[test]
fn without_mounts_below_it_anybody_can_do_without_them() {
    let project = Project::new();
    project.write("source/file", "contents\n");
    let profile = bind("source", "recursive = false");
    let said = project.run(
        &profile,
        "cat /seen/file; grep -c /seen /proc/self/mountinfo",
    );
    assert_eq!(said.ok(), "contents\n1\n");
    // What cannot be copied whole cannot be rebuilt with a mount point that it lacks.
    let more = format!("{profile}[[mounts]]\ntype = \"tmpfs\"\ntarget = \"/seen/missing\"\n");
    let said = project.run(&more, "true").fails(125);
    assert!(
        said.contains("/seen has no mount point for /seen/missing"),
        "{said}"
    );
}

#[test]
fn what_the_host_mounts_later_shows_where_the_profile_says_so_and_nowhere_else() {
    let name = "what_the_host_mounts_later_shows_where_the_profile_says_so_and_nowhere_else";
    if !is_root() {
        return skip(name, "only root can mount something later");
    }
    let project = Project::new();
    let source = project.path().join("source");
    std::fs::create_dir_all(source.join("later")).unwrap();
    std::fs::create_dir_all(source.join("own")).unwrap();
    let source = source.to_str().unwrap();
    let open = "read_only = false\nnosuid = false\nnodev = false\npropagation = \"slave\"";
    // The command tells when it runs; then the host mounts, and the command looks.
    let script = format!(
        "mount -t tmpfs none {source} && mount --make-shared {source}
        mkdir {source}/later {source}/own
        mkfifo run look
        {} --profile sandbox.toml -- sh -c 'echo > run; cat look > /dev/null; ls /seen/later' &
        cat run > /dev/null
        mount -t tmpfs none {source}/later && touch {source}/later/here
        grep -c {source}/own /proc/self/mountinfo
        echo > look
        wait $!",
        program().display()
    );
    let own = "\n[[mounts]]\ntype = \"tmpfs\"\ntarget = \"/seen/own\"\n";
    for user in ["new", "shared"] {
        let namespaces = format!("[namespaces]\nuser = \"{user}\"\n");
        let as_is = "nodev = false\npropagation = \"slave-as-is\"";
        for (keys, shown) in [
            (open, "here\n"),
            (as_is, "here\n"),
            ("read_only = false", ""),
        ] {
            let _ = std::fs::remove_file(project.path().join("run"));
            let _ = std::fs::remove_file(project.path().join("look"));
            project.write(
                "sandbox.toml",
                bind(source, &format!("{keys}{own}{namespaces}")),
            );
            let said = elsewhere(&project, &script);
            assert_eq!(said.clone().ok(), format!("0\n{shown}"), "{user}: {keys}");
        }
    }
    // What is there when the run starts has the options of this mount all the same; what shows later, the host's.
    let keys = "noexec = true\npropagation = \"slave-as-is\"\n[namespaces]\nuser = \"shared\"\n[enforce]\nlandlock = \"off\"";
    project.write("sandbox.toml", bind(source, keys));
    let script = script.replace(
        "ls /seen/later",
        "touch /seen/x /seen/later/x; ls /seen /seen/later; grep -o \"/seen.* r[ow],[^ ]*\" /proc/self/mountinfo",
    );
    for fifo in ["run", "look"] {
        let _ = std::fs::remove_file(project.path().join(fifo));
    }
    let script = script.replace(&format!("{source}/own"), "none");
    let said = elsewhere(&project, &script);
    let seen = said.stdout;
    assert!(
        said.stderr.contains("/seen/x': Read-only file system"),
        "{}",
        said.stderr
    );
    assert!(seen.contains("/seen ro,nosuid,nodev,noexec"), "{seen}");
    assert!(seen.contains("/seen/later rw,"), "{seen}");
    // A source that hears of nothing.
    project.write("sandbox.toml", bind(source, open));
    let run = format!("{} --profile sandbox.toml -- true", program().display());
    let said = elsewhere(&project, &run).fails(125);
    assert!(said.contains("is in a mount that is not shared"), "{said}");
    assert!(said.contains("sandbox.toml:9"), "{said}");
}

fn proc(keys: &str, more: &str) -> String {
    format!("version = 1\n[[mounts]]\ntype = \"proc\"\ntarget = \"/proc\"\n{keys}\n{more}")
}

#[test]
fn proc_shows_the_processes_alone_where_the_profile_says_so() {
    let project = Project::new();
    let script = "cd /proc; for x in meminfo sys cpuinfo self/status 1/status; do [ -e $x ] && echo $x; done; true";
    let all = project.run(&proc("", ""), script).ok();
    assert_eq!(all, "meminfo\nsys\ncpuinfo\nself/status\n1/status\n");
    let some = project.run(&proc("subset = \"pid\"", ""), script).ok();
    assert_eq!(some, "self/status\n1/status\n");
    let options = project.run(
        &proc("subset = \"pid\"\nhidepid = \"ptraceable\"", ""),
        "grep ' /proc ' /proc/self/mountinfo",
    );
    let options = options.ok();
    assert!(
        options.contains("hidepid=ptraceable,subset=pid"),
        "{options}"
    );
    // Init is not to be traced by anybody inside.
    let hidden = project.run(&proc("hidepid = \"ptraceable\"", ""), "ls -d /proc/1");
    assert_eq!(hidden.code, 2, "{hidden:?}");
}

#[test]
fn a_new_proc_of_the_hosts_processes_takes_root() {
    let project = Project::new();
    let shared = "[namespaces]\npid = \"shared\"\nuser = \"shared\"\n";
    let profile = proc("hidepid = \"invisible\"", shared);
    let said = project.run(
        &profile,
        "grep ' /proc ' /proc/self/mountinfo; ls -d /proc/self/fd",
    );
    if is_root() {
        let said = said.ok();
        assert!(said.contains("hidepid=invisible"), "{said}");
    } else {
        said.fails(125);
    }
    let profile = proc("hidepid = \"off\"", "[namespaces]\npid = \"shared\"\n");
    let said = project.run(&profile, "true").fails(125);
    assert!(said.contains("SBX0024"), "{said}");
}

#[test]
fn what_the_host_mounts_later_in_the_root_shows_where_the_profile_says_so_and_nowhere_else() {
    let name =
        "what_the_host_mounts_later_in_the_root_shows_where_the_profile_says_so_and_nowhere_else";
    if !is_root() {
        return skip(name, "only root can mount something later");
    }
    let project = Project::new();
    // Not in the project, which shows with what is mounted below it.
    let folder = Project::new();
    let root = folder.path().join("root");
    std::fs::create_dir(&root).unwrap();
    let root = root.to_str().unwrap();
    // Of the host's own root, a folder that is there; of a directory, one of it, which has the host's programs.
    let script = |at: &str, shown: &str| {
        format!(
            "set -e
            mount --make-rshared /
            mount -t tmpfs none {at}
            mkdir {at}/later {at}/usr
            mount --rbind /usr {at}/usr
            for l in bin sbin lib lib64; do ln -s usr/$l {at}/$l; done
            mkfifo -m 666 run look
            {} --profile sandbox.toml -- sh -c 'echo > run; cat look > /dev/null; ls {shown}' &
            timeout 60 cat run > /dev/null
            mount -t tmpfs none {at}/later
            touch {at}/later/here
            echo > look
            wait $!",
            program().display()
        )
    };
    let own = std::path::Path::new("/opt").join(format!("sandbox-test-{}", std::process::id()));
    std::fs::create_dir(&own).unwrap();
    let own_path = own.to_str().unwrap();
    let later = format!("{own_path}/later");
    for user in ["new", "shared"] {
        for (keys, expected) in [("", ""), ("propagation = \"slave-as-is\"\n", "here\n")] {
            for (source, at, shown) in [
                ("host = \"public\"".to_owned(), own_path, later.as_str()),
                (format!("directory = \"{root}\""), root, "/later"),
            ] {
                for fifo in ["run", "look"] {
                    let _ = std::fs::remove_file(project.path().join(fifo));
                }
                let profile = format!(
                    "version = 1\n[rootfs]\n{source}\n{keys}[namespaces]\nuser = \"{user}\"\n\
                     [enforce]\nidmap = \"off\"\n"
                );
                project.write("sandbox.toml", profile);
                let said = elsewhere(&project, &script(at, shown));
                assert_eq!(said.ok(), expected, "{user}: {source}: {keys}");
            }
        }
    }
    std::fs::remove_dir(&own).unwrap();
    let said = project
        .run(
            "version = 1\n[rootfs]\npropagation = \"slave\"\n",
            "echo ran",
        )
        .fails(125);
    assert!(said.contains("sandbox.toml:3"), "{said}");
    assert!(
        said.contains("write propagation = \"slave-as-is\""),
        "{said}"
    );
}
