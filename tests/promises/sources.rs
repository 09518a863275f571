//! Sources of the host: those that are made where they are missing.

use crate::support::{Done, Project, done, is_root, mounts};
use nix::fcntl::AT_FDCWD;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;

fn bind(source: &str, keys: &str) -> String {
    format!("[[mounts]]\ntype = \"bind\"\ntarget = \"/data\"\nsource = \"{source}\"\n{keys}\n")
}

fn created(project: &Project, source: &str, script: &str) -> Done {
    let profile = bind(source, "create = true\nread_only = false");
    project.run(&profile, script)
}

/// Every path below a folder.
fn names(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut todo = vec![folder.to_owned()];
    while let Some(at) = todo.pop() {
        for entry in std::fs::read_dir(at).unwrap().flatten() {
            let path = entry.path();
            found.push(path.strip_prefix(folder).unwrap().display().to_string());
            if entry.file_type().unwrap().is_dir() {
                todo.push(path);
            }
        }
    }
    found.sort();
    found
}

#[test]
fn a_source_that_is_missing_is_made_and_stays_with_what_was_written() {
    let project = Project::new();
    let before = mounts();
    let script = "echo kept >> /data/file && cat /data/file";
    assert_eq!(created(&project, "home/of/its-own", script).ok(), "kept\n");
    for name in ["home", "home/of", "home/of/its-own"] {
        let metadata = project.path().join(name).metadata().unwrap();
        assert_eq!(metadata.permissions().mode() & 0o7777, 0o700, "{name}");
        assert_eq!(metadata.uid(), nix::unistd::geteuid().as_raw(), "{name}");
        assert_eq!(metadata.gid(), nix::unistd::getegid().as_raw(), "{name}");
    }
    // The second run finds it: with what is in it, and with a mode of its owner's choice.
    let made = project.path().join("home/of/its-own");
    std::fs::set_permissions(&made, std::fs::Permissions::from_mode(0o750)).unwrap();
    assert_eq!(
        created(&project, "home/of/its-own", script).ok(),
        "kept\nkept\n"
    );
    assert_eq!(
        made.metadata().unwrap().permissions().mode() & 0o7777,
        0o750
    );
    assert_eq!(mounts(), before);
}

#[test]
fn explain_says_what_would_be_made_and_makes_nothing() {
    let project = Project::new();
    project.write("sandbox.toml", bind("new/folder", "create = true"));
    for arguments in [
        &["explain", "--profile", "sandbox.toml", "--", "true"][..],
        &["check", "sandbox.toml"],
        &["check", "--host", "sandbox.toml"],
        &["doctor", "--profile", "sandbox.toml"],
    ] {
        let output = project.program(arguments).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        let words = format!(
            "make the directory {}/new/folder on the host: if missing, to stay (no links below /",
            project.path().display()
        );
        assert!(arguments[0] != "explain" || said.contains(&words), "{said}");
        assert_eq!(names(project.path()), ["sandbox.toml"]);
    }
}

#[test]
fn a_link_that_was_planted_never_leads_what_is_made_elsewhere() {
    let project = Project::new();
    let host = Project::new();
    host.write("victim/file", "untouched");
    std::fs::create_dir(project.path().join("work")).unwrap();
    symlink(host.path().join("victim"), project.path().join("work/link")).unwrap();
    symlink(host.path().join("new"), project.path().join("work/nowhere")).unwrap();
    symlink("link", project.path().join("work/second")).unwrap();
    symlink("/etc", project.path().join("work/etc")).unwrap();
    for source in [
        "work/link/made",
        "work/link/made/deep",
        "work/nowhere",
        "work/nowhere/made",
        "work/second/made",
        "work/etc/sandbox-test",
    ] {
        // Granted in this run, or only in an earlier one.
        for project_mode in ["write", "read", "hide"] {
            let profile = format!(
                "[rootfs]\nproject = \"{project_mode}\"\n{}",
                bind(source, "create = true\nread_only = false")
            );
            let run = project.run(&profile, "touch /data/x; echo ran");
            assert_eq!(run.stdout, "", "{source}");
            let words = run.fails(125);
            assert!(words.contains("sandbox.toml:6:10"), "{words}");
            assert!(words.contains("symbolic link"), "{words}");
        }
    }
    assert_eq!(names(host.path()), ["victim", "victim/file"]);
    assert!(!Path::new("/etc/sandbox-test").exists());
}

/// The plan saw no link: it is planted between the plan and the run, as often as can be.
#[test]
fn a_link_that_is_planted_meanwhile_never_leads_what_is_made_elsewhere() {
    let project = Project::new();
    let host = Project::new();
    let stop = std::sync::atomic::AtomicBool::new(false);
    let link = project.path().join("cache");
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                let _ = symlink(host.path(), &link);
                let _ = std::fs::remove_file(&link);
            }
        });
        let codes: Vec<_> = (0..40)
            .map(|_| {
                let code = created(&project, "cache/made", "touch /data/x").code;
                let _ = std::fs::remove_dir_all(&link);
                code
            })
            .collect();
        // First of all: a failure must not leave the other thread running.
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        assert!(
            codes.iter().all(|code| [0, 125].contains(code)),
            "{codes:?}"
        );
    });
    assert!(names(host.path()).is_empty(), "{:?}", names(host.path()));
}

/// A command that never ran has written nothing.
#[test]
fn what_was_made_for_a_run_that_does_not_start_goes_again() {
    let project = Project::new();
    let profile = bind("new/folder", "create = true");
    let run = project
        .command(&profile, &["no-such-program"])
        .output()
        .unwrap();
    assert_eq!(run.status.code(), Some(127));
    assert_eq!(names(project.path()), ["sandbox.toml"]);
}

#[test]
fn only_directories_are_made() {
    let project = Project::new();
    project.write("file", "x");
    for source in ["file", "file/below"] {
        let words = created(&project, source, "echo ran").fails(125);
        assert!(words.contains("cannot be made"), "{words}");
        assert!(words.contains("no directory"), "{words}");
        assert!(words.contains("sandbox.toml:4:10"), "{words}");
    }
}

/// What is mounted in a source that is made is provided there, and only that goes in the end.
#[test]
fn a_mount_point_in_a_source_that_is_made_goes_and_the_source_stays() {
    let project = Project::new();
    for read_only in [true, false] {
        let folder = format!("new-{read_only}");
        let profile = format!(
            "{}[[mounts]]\ntype = \"tmpfs\"\ntarget = \"/data/cache\"\n",
            bind(&folder, &format!("create = true\nread_only = {read_only}"))
        );
        project.run(&profile, "touch /data/cache/x").ok();
        let left = names(&project.path().join(folder));
        assert!(left.is_empty(), "{left:?}");
    }
}

/// A mount point inside the project that lies on the way to a source that is made.
#[test]
fn what_is_made_on_the_way_to_a_source_is_no_mount_point() {
    let project = Project::new();
    let profile = format!(
        "[[mounts]]\ntype = \"tmpfs\"\ntarget = \"${{PROJECT}}/a/cache\"\n{}",
        bind("a/b", "create = true")
    );
    project.run(&profile, "touch a/cache/x").ok();
    assert_eq!(names(project.path()), ["a", "a/b", "sandbox.toml"]);
    let mode = project
        .path()
        .join("a")
        .metadata()
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o7777, 0o700);
}

/// Under a mount point that another run made, and would take away in the end.
#[test]
fn what_another_run_left_as_a_mount_point_is_kept_as_a_source() {
    let project = Project::new();
    let left = project.path().join("left");
    std::fs::create_dir(&left).unwrap();
    std::fs::set_permissions(&left, std::fs::Permissions::from_mode(0o1701)).unwrap();
    created(&project, "left", "touch /data/x").ok();
    let mode = left.metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o700);
    assert_eq!(names(project.path()), ["left", "left/x", "sandbox.toml"]);
}

#[test]
fn what_the_caller_may_not_make_is_refused_with_the_step() {
    if is_root() {
        return crate::support::skip(
            "what_the_caller_may_not_make_is_refused_with_the_step",
            "root may make it",
        );
    }
    let project = Project::new();
    let words = created(&project, "/etc/sandbox-test/x", "echo ran").fails(125);
    assert!(
        words.contains("make the directory /etc/sandbox-test/x on the host"),
        "{words}"
    );
    assert!(words.contains("sandbox.toml:1:1"), "{words}");
}

#[test]
fn a_pattern_shows_what_it_stands_for_and_nothing_else() {
    let project = Project::new();
    let host = Project::new();
    for file in [
        "a-rust-1/x",
        "b-rust-2/x",
        "c-go-1/x",
        ".d-rust-3/x",
        "e-rust-4",
    ] {
        host.write(&format!("store/{file}"), file);
    }
    let store = host.path().join("store");
    let store = store.to_str().unwrap();
    let pattern = format!("[[mounts]]\ntype = \"bind\"\nsource = \"{store}/*-rust-[0-9]\"\n");
    let inside = format!("ls -A {store}; cat {store}/e-rust-4; touch {store}/a-rust-1/y 2>&1");
    let seen = project.run(&pattern, &inside).stdout;
    assert!(
        seen.starts_with("a-rust-1\nb-rust-2\ne-rust-4\ne-rust-4"),
        "{seen}"
    );
    assert!(seen.contains("Read-only"), "{seen}");

    let into = format!("{pattern}target = \"/opt/found/\"\nread_only = false\n");
    let inside = format!("ls -A /opt/found; echo new > /opt/found/a-rust-1/y; ls {store} 2>&1");
    let seen = project.run(&into, &inside).stdout;
    assert!(seen.starts_with("a-rust-1\nb-rust-2\ne-rust-4\n"), "{seen}");
    assert!(seen.contains("No such file"), "{seen}");
    assert_eq!(
        std::fs::read_to_string(format!("{store}/a-rust-1/y")).unwrap(),
        "new\n"
    );

    // What is named is shown as it is named.
    let named = format!("{pattern}[[mounts]]\ntype = \"tmpfs\"\ntarget = \"{store}/b-rust-2\"\n");
    let seen = project.run(&named, &format!("ls -A {store}/b-rust-2")).ok();
    assert_eq!(seen, "");
}

#[test]
fn a_pattern_that_stands_for_nothing_is_an_error_unless_it_is_optional() {
    let project = Project::new();
    let pattern = "[[mounts]]\ntype = \"bind\"\nsource = \"none-*\"\n";
    let words = project.run(pattern, "echo ran").fails(125);
    assert!(words.contains("sandbox.toml:3:10"), "{words}");
    assert!(words.contains("none-* stands for"), "{words}");
    let optional = format!("{pattern}optional = true\n");
    assert_eq!(project.run(&optional, "echo ran").ok(), "ran\n");
}

#[test]
fn a_pattern_never_shows_what_a_planted_link_leads_to() {
    let project = Project::new();
    let host = Project::new();
    host.write("secret/key", "secret");
    std::fs::create_dir_all(project.path().join("work/out-1")).unwrap();
    project.write("work/out-1/x", "mine");
    symlink(
        host.path().join("secret"),
        project.path().join("work/out-2"),
    )
    .unwrap();
    symlink(host.path(), project.path().join("work/folder")).unwrap();
    for (source, seen) in [("work/out-*", "out-1\n"), ("work/*/*", "x\n")] {
        for keys in ["", "read_only = false\n"] {
            let profile = format!(
                "[[mounts]]\ntype = \"bind\"\nsource = \"{source}\"\ntarget = \"/found/\"\n{keys}"
            );
            assert_eq!(project.run(&profile, "ls /found").ok(), seen);
        }
    }
    let words = bind("work/out-2/key", "").replace("target = \"/data\"\n", "");
    project.run(&words, "echo ran").fails(125);
}

/// The plan saw folders: links take their place before they are opened, as often as can be.
#[test]
fn a_link_that_is_planted_meanwhile_is_not_what_a_pattern_stands_for() {
    let project = Project::new();
    let host = Project::new();
    host.write("key", "secret");
    let stop = std::sync::atomic::AtomicBool::new(false);
    let (place, other) = (project.path().join("out-1"), project.path().join("other"));
    std::fs::create_dir(&place).unwrap();
    symlink(host.path(), &other).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                let exchange = nix::fcntl::RenameFlags::RENAME_EXCHANGE;
                nix::fcntl::renameat2(AT_FDCWD, &place, AT_FDCWD, &other, exchange).unwrap();
            }
        });
        let profile = "[rootfs]\nproject = \"hide\"\n[[mounts]]\ntype = \"bind\"\nsource = \"out-*\"\ntarget = \"/found/\"\noptional = true\n";
        let runs: Vec<_> = (0..60)
            .map(|_| project.run(profile, "cat /found/*/key"))
            .collect();
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        let seen = runs.iter().find(|run| run.stdout.contains("secret"));
        assert!(seen.is_none(), "{seen:?}");
    });
}

#[test]
fn the_whole_host_is_shown_read_only_without_what_is_private() {
    let project = Project::new();
    let secret = Project::new();
    secret.write("x", "secret");
    let script = format!(
        "ls -d /var/lib /usr/bin; ls -A /run /tmp /var/tmp /sys; ls {} 2>&1
         touch /var/lib/made /made 2>&1; touch /tmp/a /var/tmp/b && echo private; [ -e /proc/1 ] && [ -e /dev/null ]",
        secret.path().display()
    );
    let before = mounts();
    let run = project.run("[rootfs]\nhost = \"all\"\nproject = \"hide\"\n", &script);
    assert_eq!(run.code, 0, "{run:?}");
    assert!(
        run.stdout.contains("/usr/bin\n/var/lib\n") || run.stdout.contains("/var/lib\n/usr/bin\n"),
        "{run:?}"
    );
    assert!(!run.stdout.contains("x\n"), "{run:?}");
    // What /sys holds on any machine.
    assert!(!run.stdout.contains("kernel\n"), "{run:?}");
    assert_eq!(run.stdout.matches("Read-only").count(), 2, "{run:?}");
    assert!(run.stdout.contains("private\n"), "{run:?}");
    assert!(!Path::new("/var/tmp/b").exists() && !Path::new("/tmp/a").exists());
    assert_eq!(mounts(), before);
}

#[test]
fn devices_and_programs_that_a_machine_lacks_are_left_out_where_the_profile_says_so() {
    let project = Project::new();
    let profile = |optional: bool| {
        let missing = format!("{{ name = \"no-such-thing\", optional = {optional} }}");
        format!(
            "version = 1\n[rootfs]\nprograms = [\"sh\", \"ls\", {{ name = \"cat\", optional = true }}, {missing}]\n[devices]\nnodes = [{missing}, {{ name = \"tty\", optional = true }}]\n"
        )
    };
    let script = "cat /dev/null && ls /dev/tty && ! ls /dev/no-such-thing 2> /dev/null";
    let said = project.run(&profile(true), script);
    assert_eq!(said.ok(), "/dev/tty\n");
    let said = project.run(&profile(false), script).fails(125);
    assert!(
        said.contains("there is no program `no-such-thing`"),
        "{said}"
    );
    assert!(said.contains("/dev/no-such-thing does not exist"), "{said}");
    assert!(
        said.contains("sandbox.toml:3") && said.contains("sandbox.toml:5"),
        "{said}"
    );
    project.write("sandbox.toml", profile(true));
    let arguments = ["explain", "--profile", "sandbox.toml", "--", "true"];
    let plan = crate::support::done(&mut project.program(&arguments)).ok();
    assert!(
        plan.contains("no-such-thing is not there: not mounted"),
        "{plan}"
    );
    assert!(plan.contains("no program `no-such-thing`"), "{plan}");
}

/// A folder that is given away as it is made, in the place of root's.
fn given(project: &Project, script: &str) -> Done {
    project.run(&giving(), script)
}

fn giving() -> String {
    format!(
        "version = 1\n[namespaces]\nuser = \"shared\"\n{}",
        bind(
            "to/give",
            "create = true\nread_only = false\nowner = { uid = 1234, gid = 5678 }"
        )
    )
}

#[test]
fn a_source_that_is_made_is_given_to_who_shall_own_it_and_nothing_else_is() {
    let project = Project::new();
    if !is_root() {
        let words = given(&project, "true").fails(125);
        assert!(words.contains("only root can give a folder"), "{words}");
        assert!(words.contains("owner = { uid"), "{words}");
        assert!(!project.path().join("to").exists());
        return;
    }
    let to = project.path().join("to");
    let owner = |name: &str| {
        let found = to.join(name).metadata().unwrap();
        (
            found.uid(),
            found.gid(),
            found.permissions().mode() & 0o7777,
        )
    };
    given(&project, "true").ok();
    assert_eq!(owner("give"), (1234, 5678, 0o700));
    assert_eq!(owner(""), (0, 0, 0o700));
    assert_eq!(names(&to), ["give"]);
    // What is there keeps its owner.
    std::os::unix::fs::chown(to.join("give"), Some(77), Some(78)).unwrap();
    given(&project, "true").ok();
    assert_eq!(owner("give"), (77, 78, 0o700));
    std::fs::remove_dir(to.join("give")).unwrap();
    // A run that was killed on the way: before the move, and after it.
    let mark = |path: &str, uid: u32| {
        let path = to.join(path);
        std::fs::create_dir(&path).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o1701)).unwrap();
        std::os::unix::fs::chown(&path, Some(uid), Some(uid)).unwrap();
    };
    mark(".sandbox.made", 0);
    mark(".sandbox.made/new", 4321);
    given(&project, "true").ok();
    assert_eq!(owner("give"), (1234, 5678, 0o700));
    assert_eq!(names(&to), ["give"]);
    std::fs::remove_dir(to.join("give")).unwrap();
    mark(".sandbox.made", 0);
    mark("give", 1234);
    given(&project, "true").ok();
    assert_eq!(owner("give"), (1234, 1234, 0o700));
    assert_eq!(names(&to), ["give"]);
    // Or nobody runs again.
    mark(".sandbox.made", 0);
    mark(".sandbox.made/new", 4321);
    done(project.program(&["gc"]).arg(&to)).ok();
    assert_eq!(names(&to), ["give"]);
    // What somebody else has put there would not keep him out.
    std::fs::remove_dir(to.join("give")).unwrap();
    mark(".sandbox.made", 4321);
    given(&project, "true").fails(125);
    assert_eq!(names(&to), [".sandbox.made"]);
}

/// Side by side, one makes it and all have it.
#[test]
fn runs_side_by_side_give_one_folder_away() {
    if !is_root() {
        return crate::support::skip("runs_side_by_side_give_one_folder_away", "only root can");
    }
    let project = Project::new();
    project.write("sandbox.toml", giving());
    let run = || done(&mut project.program(&["--", "true"])).code;
    std::thread::scope(|scope| {
        let runs: Vec<_> = (0..6).map(|_| scope.spawn(run)).collect();
        let codes: Vec<_> = runs.into_iter().map(|run| run.join().unwrap()).collect();
        assert_eq!(codes, [0; 6]);
    });
    let found = project.path().join("to/give").metadata().unwrap();
    assert_eq!((found.uid(), found.gid()), (1234, 5678));
    assert_eq!(names(&project.path().join("to")), ["give"]);
}
