//! `[landlock]`: what may be read, written, executed and given commands to is what its paths say, of what the mounts show.

use crate::running::{Place, name};
use crate::support::{Done, Project, done, skip};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

/// Programs and what they load, and nothing of the project.
const SYSTEM: &str = "\"/usr\", \"/etc\", \"/dev\"";

/// Whether the kernel has all that `[landlock]` may ask for.
fn has_rights(test: &str) -> bool {
    let has = sandbox::sys::landlock::abi().is_ok_and(|version| version >= 5);
    if !has {
        skip(test, "the kernel has no Landlock, or an old one");
    }
    has
}

fn profile(keys: &str, rest: &str) -> String {
    format!("version = 1\n{rest}\n[landlock]\n{keys}\n")
}

/// The words of a run's output.
#[track_caller]
fn words(run: &Done) -> Vec<&str> {
    assert_eq!(run.code, 0, "{run:?}");
    run.stdout.split_whitespace().collect()
}

/// Says the names of what succeeds: `try NAME COMMAND…`.
const TRY: &str = "try() { name=$1; shift; (\"$@\") >/dev/null 2>&1 && echo $name || :; }\n";

#[test]
fn what_lies_below_no_listed_path_is_not_read() {
    let test = "what_lies_below_no_listed_path_is_not_read";
    if !has_rights(test) {
        return;
    }
    let project = Project::new();
    project.write("open/file", "open\n");
    project.write("closed/file", "closed\n");
    let script = format!(
        "{TRY}for at in open closed; do try $at cat $at/file; try list-$at ls $at; try see-$at stat $at/file; done"
    );
    let all = [
        "open",
        "list-open",
        "see-open",
        "closed",
        "list-closed",
        "see-closed",
    ];
    let run = |keys: &str| project.run(&profile(keys, ""), &script);
    assert_eq!(words(&run("")), all);
    let open = project.path().join("open");
    let listed = run(&format!("read = [{SYSTEM}, {open:?}]"));
    assert_eq!(
        words(&listed),
        ["open", "list-open", "see-open", "see-closed"]
    );
    // One file of a folder.
    let file = open.join("file");
    let listed = run(&format!("read = [{SYSTEM}, {file:?}]"));
    assert_eq!(words(&listed), ["open", "see-open", "see-closed"]);
}

#[test]
fn what_lies_below_no_listed_path_is_not_written_though_its_mount_is_writable() {
    let test = "what_lies_below_no_listed_path_is_not_written_though_its_mount_is_writable";
    if !has_rights(test) {
        return;
    }
    let project = Project::new();
    for folder in ["one", "two", "closed", "sealed"] {
        project.write(&format!("{folder}/file"), "text\n");
    }
    let at = |name: &str| project.path().join(name).display().to_string();
    // A file that is writable by a mount of its own, below a folder that is not listed; and a read-only mount
    // below one that is.
    let mounts = format!(
        "[[mounts]]\ntype = \"bind\"\nsource = \"one/file\"\ntarget = \"/closed/file\"\nread_only = false\n\
         [[mounts]]\ntype = \"bind\"\nsource = \"sealed\"\ntarget = {:?}\n",
        at("one/sealed")
    );
    let script = format!(
        "{TRY}for at in one two closed; do
            try write-$at sh -c \"echo more >>$at/file\"; try truncate-$at truncate -s 1 $at/file
            try empty-$at sh -c \": >$at/file\"; try make-$at touch $at/new; try folder-$at mkdir $at/folder
            try link-$at ln -s x $at/link; try fifo-$at mkfifo $at/fifo; try remove-$at rm $at/file
        done
        try mount sh -c 'echo more >>/closed/file'; try sealed touch one/sealed/new; try null sh -c 'echo >/dev/null'
        try move mv one/new two/moved; try out mv two/moved closed/moved; try tmp touch /tmp/file"
    );
    let kinds = [
        "write", "truncate", "empty", "make", "folder", "link", "fifo", "remove",
    ];
    let in_folder = |folder: &str| kinds.map(|kind| format!("{kind}-{folder}"));
    let all = |folders: &[&str], rest: &[&str]| {
        let folders = folders.iter().flat_map(|folder| in_folder(folder));
        folders
            .chain(rest.iter().map(|word| (*word).to_owned()))
            .collect::<Vec<_>>()
    };
    let run = |keys: &str| {
        for folder in ["one", "two", "closed"] {
            for made in ["new", "folder", "link", "fifo", "moved"] {
                let path = project.path().join(folder).join(made);
                let _ = std::fs::remove_file(&path);
                let _ = std::fs::remove_dir(&path);
            }
            project.write(&format!("{folder}/file"), "text\n");
        }
        project.run(&profile(keys, &mounts), &script)
    };
    let open = run("");
    let rest = ["mount", "null", "move", "out", "tmp"];
    assert_eq!(words(&open), all(&["one", "two", "closed"], &rest));
    let keys = format!("write = [\"/dev/null\", {:?}, {:?}]", at("one"), at("two"));
    let listed = run(&keys);
    assert_eq!(words(&listed), all(&["one", "two"], &["null", "move"]));
    assert_eq!(
        std::fs::read_to_string(project.path().join("closed/file")).unwrap(),
        "text\n"
    );
    assert_eq!(words(&run("write = []")), Vec::<&str>::new());
}

#[test]
fn what_lies_below_no_listed_path_is_not_executed() {
    let test = "what_lies_below_no_listed_path_is_not_executed";
    if !has_rights(test) {
        return;
    }
    let project = Project::new();
    project.executable("script", "#!/bin/sh\necho script\n");
    let script = format!(
        "{TRY}cp /usr/bin/true copy; try system /usr/bin/true; try copy ./copy; try script ./script
        try interpreted sh ./script; try env env true"
    );
    let run = |keys: &str| project.run(&profile(keys, ""), &script);
    let all = ["system", "copy", "script", "interpreted", "env"];
    assert_eq!(words(&run("")), all);
    // Whatever an interpreter can read, it runs: that is said, and no promise.
    assert_eq!(
        words(&run("execute = [\"/usr\"]")),
        ["system", "interpreted", "env"]
    );
    let one = project.path().join("script");
    let keys = format!("execute = [\"/bin\", \"/usr/lib\", \"/lib64\", {one:?}]");
    assert_eq!(
        words(&run(&keys)),
        ["system", "script", "interpreted", "env"]
    );
    // Nothing is moved to where it could be executed.
    std::fs::create_dir(project.path().join("bin")).unwrap();
    let bin = project.path().join("bin");
    let moved = project.run(
        &profile(&format!("execute = [\"/usr\", {bin:?}]"), ""),
        "ln script bin/script 2>&1 || echo; bin/script || echo kept",
    );
    assert!(
        moved.stdout.contains("Invalid cross-device link"),
        "{moved:?}"
    );
    assert!(moved.stdout.ends_with("kept\n"), "{moved:?}");
    // The interpreter is executed, too; without a loader nothing is.
    let keys = format!("execute = [{one:?}]");
    let refused = run(&keys).fails(125);
    assert!(refused.contains("SBX0172"), "{refused}");
}

#[test]
fn devices_below_no_listed_path_take_no_commands() {
    let test = "devices_below_no_listed_path_take_no_commands";
    if !has_rights(test) {
        return;
    }
    let project = Project::new();
    // None of them is a terminal: ENOTTY is the device's own answer.
    project.write(
        "ask.py",
        "import fcntl, errno, sys
for name in ('null', 'zero'):
    try: fcntl.ioctl(open('/dev/' + name), 0x5401, bytes(64))
    except OSError as error: print(name, errno.errorcode[error.errno])
",
    );
    let run = |keys: &str| project.run(&profile(keys, ""), "python3 ask.py");
    assert_eq!(words(&run("")), ["null", "ENOTTY", "zero", "ENOTTY"]);
    let listed = run("ioctl = [\"/dev/null\"]");
    assert_eq!(words(&listed), ["null", "ENOTTY", "zero", "EACCES"]);
}

#[test]
fn a_listed_path_that_is_not_inside_is_refused_at_its_line_unless_it_may_be_missing() {
    let project = Project::new();
    project.write("folder/file", "");
    std::os::unix::fs::symlink("folder", project.path().join("link")).unwrap();
    let run = |keys: &str| project.run(&profile(keys, ""), "true");
    for (path, code, says) in [
        ("/nowhere", "SBX0101", "there is no /nowhere inside"),
        (
            "/proc/self/fd",
            "SBX0008",
            "each process finds something else",
        ),
        ("/dev/pts/7", "SBX0100", "only the kernel knows"),
    ] {
        let optional = path == "/dev/pts/7";
        let keys = format!("read = [\n\"/\",\n{{ name = {path:?}, optional = {optional} }}]");
        let refused = run(&keys).fails(125);
        assert!(refused.contains(&format!("error[{code}]")), "{refused}");
        assert!(refused.contains(says), "{refused}");
        assert!(refused.contains("sandbox.toml:6:"), "{refused}");
    }
    // A link in a folder that the command writes to may lead anywhere by the next run.
    let link = project.path().join("link");
    let refused = run(&format!("write = [{link:?}]")).fails(125);
    assert!(refused.contains("could have planted"), "{refused}");
    if has_rights(
        "a_listed_path_that_is_not_inside_is_refused_at_its_line_unless_it_may_be_missing",
    ) {
        run("read = [\"/\", { name = \"/nowhere\", optional = true }]").ok();
    }
}

#[test]
fn a_command_that_its_own_rules_hold_back_is_refused_before_anything_starts() {
    let test = "a_command_that_its_own_rules_hold_back_is_refused_before_anything_starts";
    if !has_rights(test) {
        return;
    }
    let project = Project::new();
    let script = project.executable("script", "#!/usr/bin/env sh\n");
    let loader = std::fs::canonicalize("/lib64/ld-linux-x86-64.so.2").unwrap();
    let run =
        |keys: &str, command: &str| done(&mut project.command(&profile(keys, ""), &[command]));
    let names = |run: Done, what: &Path, how: &str| {
        let refused = run.fails(125);
        let says = format!(
            "the command needs {}, which may not be {how}",
            what.display()
        );
        assert!(refused.contains(&says), "{says}: {refused}");
        assert!(refused.contains("sandbox.toml:4:"), "{refused}");
    };
    let own = script.to_str().unwrap();
    names(run("execute = [\"/usr\"]", own), &script, "executed");
    names(
        run(&format!("execute = [{own:?}]"), own),
        Path::new("/usr/bin/env"),
        "executed",
    );
    names(run("execute = [\"/usr/bin\"]", "true"), &loader, "executed");
    names(run("read = [\"/usr/bin\"]", "true"), &loader, "read");
    // As for execvp(3), a later one of the same name may do.
    let later = "[environment]\nset = { PATH = \"/tmp/first:/usr/bin\" }\n\
        [[mounts]]\ntype = \"bind\"\nsource = \"script\"\ntarget = \"/tmp/first/true\"";
    let keys = "execute = [\"/usr\"]";
    done(&mut project.command(&profile(keys, later), &["true"])).ok();
    // What the command starts later is told where it fails.
    let inner = project.run(&profile(keys, ""), "./script || echo $?");
    assert_eq!(inner.stdout, "126\n", "{inner:?}");
}

#[test]
fn what_a_kernel_cannot_bound_by_path_is_refused_unless_it_is_only_preferred() {
    let project = Project::new();
    // A filter around the run makes any kernel one without Landlock.
    project.write(
        "old.bpf",
        crate::calls::compiled(libc::SYS_landlock_create_ruleset, libc::ENOSYS),
    );
    let run = |rest: &str| {
        let inside = format!("{}{rest}\n[landlock]\nwrite = []\n", crate::nested::INSIDE);
        project.write("inside.toml", inside);
        let around = format!(
            "{}file = \"old.bpf\"\n{}",
            crate::nested::AROUND,
            crate::nested::carried(&project)
        );
        let inner = ["/sandbox", "--profile", "/inside.toml", "--", "sh", "-c"];
        let script = "touch /tmp/made && echo made";
        done(&mut project.command(&around, &[&inner[..], &[script]].concat()))
    };
    let says = "cannot bound `write` by paths";
    let refused = run("");
    assert_eq!(
        (refused.code, refused.stdout.as_str()),
        (125, ""),
        "{refused:?}"
    );
    assert!(refused.stderr.contains(says), "{refused:?}");
    assert!(refused.stderr.contains("write = []"), "{refused:?}");
    let preferred = run("[enforce]\nlandlock = \"prefer\"");
    assert_eq!(preferred.stdout, "made\n", "{preferred:?}");
    assert!(preferred.stderr.contains(says), "{preferred:?}");
}

#[test]
fn who_joins_is_bounded_by_the_same_paths() {
    let test = "who_joins_is_bounded_by_the_same_paths";
    if !has_rights(test) {
        return;
    }
    let place = Place::new();
    place.project.write("file", "text\n");
    place.project.executable("script", "#!/bin/sh\n");
    let folder = place.project.path().join("open");
    std::fs::create_dir(&folder).unwrap();
    let keys = format!("read = [{SYSTEM}]\nwrite = [\"/dev\", {folder:?}]\nexecute = [\"/usr\"]");
    let script = format!(
        "{TRY}try read cat file; try write touch made; try open touch open/made; try execute ./script; try true true"
    );
    let name = name();
    let ready = "mkdir -p open/here; exec sleep 600";
    let text = profile(&keys, "[process]\ncwd = \"${PROJECT}\"");
    // The first command says that it is ready where it may write.
    let ready_file = place.project.path().join("open/here");
    place.project.write("sandbox.toml", text);
    let mut live =
        crate::live::Live::spawn(&mut place.program(&["--name", &name, "--", "sh", "-c", ready]));
    live.await_file(&ready_file);
    let joined = place.exec(&name, &script);
    assert_eq!(words(&joined), ["open", "true"]);
    let refused = place.done(&["exec", &name, "--", "./script"]);
    assert_eq!(refused.code, 126, "{refused:?}");
    assert!(
        refused
            .stderr
            .contains("`execute` and `read` under [landlock]"),
        "{refused:?}"
    );
}

#[test]
fn what_the_command_has_open_may_be_opened_again() {
    let test = "what_the_command_has_open_may_be_opened_again";
    if !has_rights(test) {
        return;
    }
    let project = Project::new();
    let outside = Project::new();
    let open = |path: &Path| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o666)).unwrap();
        std::fs::OpenOptions::new().append(true).open(path).unwrap()
    };
    let input = outside.write("input", "given\n");
    open(&input);
    let output = outside.write("output", "begin\n");
    let keys = format!("read = [{SYSTEM}, \"/proc\"]\nwrite = [\"/dev/null\"]");
    let mut command = project.script(
        &profile(&keys, "[process]\noutput_files = \"give\""),
        "cat /dev/stdin && echo said >>/dev/stderr",
    );
    command
        .stdin(std::fs::File::open(&input).unwrap())
        .stderr(open(&output));
    let run = done(&mut command);
    assert_eq!((run.code, run.stdout.as_str()), (0, "given\n"), "{run:?}");
    assert_eq!(std::fs::read_to_string(&output).unwrap(), "begin\nsaid\n");
}

#[test]
fn a_program_that_is_executed_by_descriptor_needs_no_path() {
    let test = "a_program_that_is_executed_by_descriptor_needs_no_path";
    if !has_rights(test) {
        return;
    }
    if !Path::new("/bin/busybox").exists() {
        return skip(test, "there is no static busybox");
    }
    let project = Project::new();
    let keys = "read = []\nexecute = []";
    let by = "[process]\nby_descriptor = true\n[seccomp]\nallow = [\"execveat\"]";
    let arguments = [
        "/bin/busybox",
        "sh",
        "-c",
        "echo static; /bin/true || echo $?",
    ];
    let run = done(&mut project.command(&profile(keys, by), &arguments));
    assert_eq!(run.stdout, "static\n126\n", "{run:?}");
    // Who only tries something opens no program.
    let test = "[[test]]\nname = \"closed\"\ncannot_read = [\"/etc/hostname\"]\ncannot_execute = [\"/bin/busybox\"]\n";
    project.write("sandbox.toml", format!("{}{test}", profile(keys, by)));
    let proven = done(&mut project.program(&["test", "sandbox.toml"]));
    assert_eq!(proven.code, 0, "{proven:?}");
}

#[test]
fn files_move_where_only_reading_is_bounded() {
    let test = "files_move_where_only_reading_is_bounded";
    if !has_rights(test) {
        return;
    }
    let project = Project::new();
    for folder in ["", "a", "b"] {
        let folder = project.path().join(folder);
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o777)).unwrap();
    }
    let keys = format!("read = [{SYSTEM}]");
    for mounts in ["", "[namespaces]\nmount = \"shared\""] {
        // Where moving is refused, mv(1) copies: ln(1) has nothing else to do.
        let run = project.run(
            &profile(&keys, mounts),
            "touch a/file && mv a/file b/moved && ln b/moved a/link && rm a/link b/moved && echo moved
             cat sandbox.toml 2>/dev/null || echo unread",
        );
        assert_eq!(run.stdout, "moved\nunread\n", "{mounts}: {run:?}");
    }
}

#[test]
fn refusals_by_path_are_answered_told_of_and_proven_with_their_line() {
    let test = "refusals_by_path_are_answered_told_of_and_proven_with_their_line";
    if !has_rights(test) {
        return;
    }
    let project = Project::new();
    let file = project.write("file", "text\n");
    let script = project.executable("script", "#!/bin/sh\n");
    let keys = format!("read = [{SYSTEM}]\nwrite = [\"/dev\", \"/etc\"]\nexecute = [\"/usr\"]");
    let tests = format!(
        "[[test]]\nname = \"paths\"\ncannot_read = [{file:?}]\ncan_read = [\"/etc/hostname\"]\n\
         cannot_write = [{file:?}, \"/tmp\", \"/etc\"]\ncan_write = [\"/dev/null\"]\n\
         cannot_execute = [{script:?}]\ncan_execute = [\"true\"]\n"
    );
    project.write("sandbox.toml", format!("{}{tests}", profile(&keys, "")));
    let proven = done(&mut project.program(&["test", "sandbox.toml"]));
    assert_eq!(proven.code, 0, "{proven:?}");
    for (word, path, line) in [
        ("read", &file, 4),
        ("write", &file, 5),
        ("exec", &script, 6),
    ] {
        let run =
            done(&mut project.program(&["why", "sandbox.toml", word, path.to_str().unwrap()]));
        assert_eq!(run.code, 1, "{run:?}");
        assert!(run.stdout.contains("lies below no path of"), "{run:?}");
        assert!(
            run.stdout.contains(&format!("sandbox.toml:{line}:")),
            "{run:?}"
        );
    }
    // The mount's line is nearer where the mount refuses it.
    let mount = done(&mut project.program(&["why", "sandbox.toml", "write", "/etc"]));
    assert!(mount.stdout.contains("read-only mount"), "{mount:?}");
    let traced = done(&mut project.program(&[
        "--explain-denials",
        "--profile",
        "sandbox.toml",
        "--",
        "sh",
        "-c",
        "cat file; echo >>file; ./script; true",
    ]));
    let told: Vec<_> = traced
        .stderr
        .lines()
        .filter(|line| line.contains("denied:"))
        .collect();
    for (path, line) in [(&file, 4), (&file, 5), (&script, 6)] {
        let about = |told: &&&str| {
            told.contains(path.to_str().unwrap()) && told.contains(&format!("sandbox.toml:{line}"))
        };
        assert!(
            told.iter().any(|told| about(&told)),
            "{path:?} {line}: {traced:?}"
        );
    }
}
