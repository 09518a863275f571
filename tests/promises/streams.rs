//! Standard streams that the profile names: files of the caller's, opened once and through no link, or nothing.

use crate::live::{Live, eventually};
use crate::support::{Project, done};

fn profile(keys: &str) -> String {
    format!("version = 1\n[process]\n{keys}\n")
}

#[test]
fn streams_are_the_files_that_are_named_whatever_the_command_has_of_them() {
    let project = Project::new();
    project.write("in", "first\nsecond\n");
    for output_files in ["relay", "give"] {
        project.write(
            "out",
            "what was there before, and is longer than all that comes\n",
        );
        let _ = std::fs::remove_file(project.path().join("err"));
        let keys = format!(
            "stdin = \"./in\"\nstdout = \"./out\"\nstderr = \"{}/err\"\noutput_files = \"{output_files}\"",
            project.path().display()
        );
        let script = "read line; echo \"$line\"; echo told >&2; readlink /proc/self/fd/1; exit 3";
        let run = project.run(&profile(&keys), script);
        assert_eq!(
            (run.code, &*run.stdout, &*run.stderr),
            (3, "", ""),
            "{output_files}"
        );
        let read = |name: &str| std::fs::read_to_string(project.path().join(name)).unwrap();
        let out = read("out");
        let (line, link) = out.split_once('\n').unwrap();
        assert_eq!(line, "first");
        assert_eq!(link.starts_with("pipe:"), output_files == "relay", "{link}");
        assert_eq!(read("err"), "told\n");
    }
}

#[test]
fn one_file_for_both_streams_keeps_what_is_written_in_its_order() {
    let project = Project::new();
    for output_files in ["relay", "give"] {
        let keys =
            format!("stdout = \"./log\"\nstderr = \"./log\"\noutput_files = \"{output_files}\"");
        project
            .run(&profile(&keys), "echo 1; echo 2 >&2; echo 3; echo 4 >&2")
            .ok();
        let log = std::fs::read_to_string(project.path().join("log")).unwrap();
        assert_eq!(log, "1\n2\n3\n4\n", "{output_files}");
    }
}

#[test]
fn what_is_appended_to_keeps_what_was_there() {
    let project = Project::new();
    for output_files in ["relay", "give"] {
        project.write("log", "before\n");
        let _ = std::fs::remove_file(project.path().join("new"));
        let keys = format!(
            "stdout = \"append:./log\"\nstderr = \"append:{}/new\"\noutput_files = \"{output_files}\"",
            project.path().display()
        );
        for run in ["first", "second"] {
            let script = format!("echo {run}; echo told by {run} >&2");
            project.run(&profile(&keys), &script).ok();
        }
        let read = |name: &str| std::fs::read_to_string(project.path().join(name)).unwrap();
        assert_eq!(read("log"), "before\nfirst\nsecond\n", "{output_files}");
        assert_eq!(read("new"), "told by first\ntold by second\n");
        // Whoever else writes to it meanwhile is not written over.
        let script = "echo one; touch ready; cat told; echo two";
        let mut others = std::fs::OpenOptions::new();
        let mut others = others
            .append(true)
            .open(project.path().join("log"))
            .unwrap();
        let told = project.path().join("told");
        let _ = std::fs::remove_file(&told);
        let _ = std::fs::remove_file(project.path().join("ready"));
        nix::unistd::mkfifo(&told, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let live = Live::script(&project, &profile(&keys), script);
        eventually("the first line is there", || read("log").ends_with("one\n"));
        std::io::Write::write_all(&mut others, b"of another\n").unwrap();
        std::fs::write(&told, "told\n").unwrap();
        live.done().ok();
        let log = read("log");
        assert!(
            log.ends_with("second\none\nof another\ntold\ntwo\n"),
            "{log}"
        );
    }
    // One file for both keeps their order.
    project.write("log", "before\n");
    let keys = "stdout = \"append:./log\"\nstderr = \"append:log/../log\"";
    let refused = project.run(&profile(keys), "true").fails(125);
    assert!(refused.contains(".."), "{refused}");
    let keys = "stdout = \"append:./log\"\nstderr = \"append:./log\"";
    let run = project.run(&profile(keys), "echo 1; echo 2 >&2; echo 3");
    assert_eq!(run.ok(), "");
    let log = std::fs::read_to_string(project.path().join("log")).unwrap();
    assert_eq!(log, "before\n1\n2\n3\n");
}

#[test]
fn nothing_is_read_from_and_kept_of_null() {
    let project = Project::new();
    project.write("in", "text\n");
    let keys = "stdin = \"null\"\nstdout = \"null\"";
    let mut run = project.script(&profile(keys), "cat; echo lost; echo told >&2");
    let input = std::fs::File::open(project.path().join("in")).unwrap();
    let run = done(run.stdin(input));
    assert_eq!((run.code, &*run.stdout, &*run.stderr), (0, "", "told\n"));
    // With a bound too, which counts what is lost.
    let keys = format!("{keys}\n[limits]\noutput = 10\noutput_over = \"end\"");
    let run = project.run(&profile(&keys), "echo 0123456789; echo more; sleep 600");
    assert!(run.stderr.contains("output of 10 reached"), "{run:?}");
    assert_eq!((run.code, &*run.stdout), (124, ""), "{run:?}");
}

#[test]
fn what_goes_to_a_file_is_bounded_by_the_limit_on_output() {
    let project = Project::new();
    let keys = "stdout = \"./out\"\n[limits]\noutput = 4";
    let run = project.run(&profile(keys), "echo 0123456789; echo told >&2");
    assert_eq!(run.code, 0, "{run:?}");
    assert!(run.stderr.contains("output cut after 4"), "{run:?}");
    let out = std::fs::read_to_string(project.path().join("out")).unwrap();
    // Of both streams together: which came first is the scheduler's.
    assert!("0123".starts_with(&out), "{out}");
}

#[test]
fn no_stream_is_opened_through_a_link_that_a_command_made() {
    let project = Project::new();
    let outside = Project::new();
    let precious = outside.write("precious", "kept\n");
    let plant = format!(
        "ln -s {} link; mkfifo fifo; ln -s {} folder",
        precious.display(),
        outside.path().display()
    );
    project.run("version = 1\n", &plant).ok();
    for key in ["stdin", "stdout", "stderr"] {
        for (name, said) in [
            ("./link", "symbolic link"),
            ("./folder/precious", "symbolic link"),
            ("./fifo", ""),
            ("./none/file", "there is no such f"),
        ] {
            let words = project
                .run(&profile(&format!("{key} = \"{name}\"")), "touch ran")
                .fails(125);
            assert!(words.contains(said), "{key} {name}: {words}");
            assert!(words.contains("sandbox.toml:3"), "{words}");
            assert!(!project.path().join("ran").exists());
        }
    }
    assert_eq!(std::fs::read_to_string(precious).unwrap(), "kept\n");
}

#[test]
fn an_attempt_empties_no_file() {
    let project = Project::new();
    project.write("out", "kept\n");
    project.write(
        "sandbox.toml",
        profile("stdout = \"./out\"\n[[test]]\ncan_read = [\"/etc/passwd\"]\n[[test]]\nruns = [\"sh\", \"-c\", \"echo lost\"]"),
    );
    let run = done(&mut project.program(&["test", "sandbox.toml"]));
    assert_eq!(run.code, 0, "{run:?}");
    let kept = std::fs::read_to_string(project.path().join("out")).unwrap();
    assert_eq!(kept, "kept\n", "{run:?}");
}

#[test]
fn what_the_command_is_given_of_its_output_it_cannot_read() {
    let project = Project::new();
    project.write("out", "");
    // The file is elsewhere than in the project, where the command could open it by its name.
    let outside = Project::new();
    let keys = format!("stdout = \"{}/out\"", outside.path().display());
    let script = "exec 3>&1; echo written; cat /proc/self/fd/3 >/dev/null 2>&1 && echo read >&2";
    let run = project.run(&profile(&keys), &format!("{script}; true"));
    assert_eq!((run.code, &*run.stderr), (0, ""), "{run:?}");
    let out = std::fs::read_to_string(outside.path().join("out")).unwrap();
    assert_eq!(out, "written\n");
}
