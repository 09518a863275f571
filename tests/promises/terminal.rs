//! A terminal of the sandbox's own: what is at work in it, and what becomes of the caller's.

use crate::live::{HOLD, eventually};
use crate::running::{Place, name};
use crate::screen::{PROFILE, Screen, Tmux, missing};
use crate::support::{Project, done, program, skip};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use sandbox::sys::terminal::{self, Size};
use std::fs::File;
use std::os::fd::AsRawFd as _;
use std::process::Command;

#[test]
fn a_command_on_a_terminal_has_one_of_the_sandboxs_own() {
    let project = Project::new();
    let script = "tty; readlink /proc/self/fd/0 /proc/self/fd/1 /proc/self/fd/2; stty size; stty -a | grep -o 'intr = ..'; stty -a | grep -o -e '.ixon'; ls -1 /dev/pts; echo named >/dev/tty; cut -d' ' -f5-8 /proc/$$/stat; stat -c %U:%a $(tty)";
    let mut screen = Screen::sandbox(&project, PROFILE, &["sh", "-c", script]);
    let (code, output) = screen.ends();
    let names = "/dev/pts/0\r\n".repeat(4);
    let rest = "31 97\r\nintr = ^X\r\n-ixon\r\n0\r\nptmx\r\nnamed\r\n2 1 34816 2\r\n";
    assert!(output.starts_with(&format!("{names}{rest}")), "{output:?}");
    assert!(output.trim_end().ends_with(":620"), "{output:?}");
    assert_eq!(code, 0);
    screen.is_as_before();
    // All of what is written arrives, however fast the end comes.
    let mut screen = Screen::sandbox(&project, PROFILE, &["seq", "20000"]);
    let (code, output) = screen.ends();
    let all: String = (1..=20_000).map(|n| format!("{n}\r\n")).collect();
    assert_eq!(
        (code, output == all),
        (0, true),
        "{} bytes of {}",
        output.len(),
        all.len()
    );
}

#[test]
fn in_pipes_there_is_no_terminal_and_the_streams_stay_apart() {
    let project = Project::new();
    let script = "for n in 0 1 2; do test -t $n && echo $n; done; ( : </dev/tty ) 2>/dev/null && echo some; echo out; echo err >&2";
    let run = project.run(PROFILE, script);
    assert_eq!(
        (run.code, &*run.stdout, &*run.stderr),
        (0, "out\n", "err\n")
    );
    let explained =
        done(&mut project.program(&["explain", "--profile", "sandbox.toml", "--", "true"])).ok();
    assert!(!explained.contains("controlling terminal"), "{explained}");
    // Only a part of it is a terminal: a reader of the output may need that itself.
    let mut screen = Screen::shell(&project);
    screen.types(
        "box -- sh -c 'for n in 0 1 2; do test -t $n && echo $n; done; tty' | cat; echo do''ne\r",
    );
    let shown = screen.shows("done\r\n");
    assert!(shown.contains("\n0\r\n2\r\nnot a tty\r\n"), "{shown:?}");
}

#[test]
fn what_is_no_terminal_stays_what_it_is() {
    let project = Project::new();
    let mut screen = Screen::shell(&project);
    screen.types(
        "box -- sh -c 'readlink /proc/self/fd/1; echo apart >&2' 2>log; cat log; echo do''ne\r",
    );
    let shown = screen.shows("done\r\n");
    assert!(shown.contains("/dev/pts/0\r\napart\r\n"), "{shown:?}");
    assert_eq!(
        std::fs::read_to_string(project.path().join("log")).unwrap(),
        "apart\n"
    );
    screen.types("echo piped | box --tty -- sh -c 'cat; readlink /proc/self/fd/1'; echo do''ne\r");
    let shown = screen.shows("done\r\n");
    assert!(shown.contains("piped\r\n/dev/pts/0\r\n"), "{shown:?}");
}

#[test]
fn a_terminal_that_is_asked_for_is_had_in_pipes_too() {
    let project = Project::new();
    project.write("sandbox.toml", PROFILE);
    project.write("input", "typed\n");
    let mut command = project.program(&[
        "--tty",
        "--profile",
        "sandbox.toml",
        "--",
        "sh",
        "-c",
        "tty; cat; echo err >&2",
    ]);
    command.stdin(File::open(project.path().join("input")).unwrap());
    let run = done(&mut command);
    assert_eq!(run.code, 0, "{run:?}");
    // What is typed is echoed, as a terminal does it.
    let lines: Vec<_> = run.stdout.lines().filter(|line| *line != "typed").collect();
    assert_eq!(lines, ["/dev/pts/0", "err"], "{run:?}");
    assert_eq!(run.stdout.lines().count(), 4, "{run:?}");
    assert_eq!(run.stderr, "");
}

#[test]
fn the_callers_terminal_is_given_where_the_profile_says_so() {
    let project = Project::new();
    for profile in [
        "version = 1\n[process]\nterminal = \"caller\"",
        "version = 1\n[process]\nsession = \"inherit\"",
    ] {
        let mut screen = Screen::sandbox(
            &project,
            profile,
            &[
                "sh",
                "-c",
                "test -t 0 && test -t 1 && echo both; ls /dev/pts; stty -echo",
            ],
        );
        assert_eq!(screen.ends(), (0, "both\r\nptmx\r\n".into()));
        assert_ne!(
            screen.settings(),
            screen.before,
            "the command has set the caller's own"
        );
    }
    // Of its own, it sets its own.
    let mut screen = Screen::sandbox(&project, PROFILE, &["stty", "-echo"]);
    assert_eq!(screen.ends().0, 0);
    screen.is_as_before();
}

/// A text as one word of a shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// Says something with sequences that are displayed, answered, and kept.
const SEQUENCES: &str = r"printf 'a\033[6nb\033]52;c;eA==\007c\033[1md\033[0m\033P$qm\033\\e\n'";
const AS_WRITTEN: &str = "a\x1b[6nb\x1b]52;c;eA==\x07c\x1b[1md\x1b[0m\x1bP$qm\x1b\\e";
const AS_DISPLAYED: &str = "abc\x1b[1md\x1b[0me";

#[test]
fn a_terminal_is_handed_only_what_it_displays_where_the_profile_says_so() {
    let project = Project::new();
    let displays = "version = 1\n[process]\nescapes = \"display\"\n";
    let program = program();
    let run = |profile: &str, words: &str| {
        project.write("sandbox.toml", profile);
        let line = format!("'{}' --profile sandbox.toml -- {words}", program.display());
        let mut screen = Screen::of(&project, &["sh", "-c", &line]);
        let (code, output) = screen.ends();
        screen.is_as_before();
        assert_eq!(code, 0, "{output:?}");
        output
    };
    let script = format!(
        "sh -c {}",
        quoted(&format!(
            "test -t 1 && echo own; {SEQUENCES}; {SEQUENCES} >&2"
        ))
    );
    // Everything passes unless something else is said.
    let all = run(PROFILE, &script);
    assert_eq!(all, format!("own\r\n{AS_WRITTEN}\r\n{AS_WRITTEN}\r\n"));
    let shown = format!("{AS_DISPLAYED}\r\n{AS_DISPLAYED}\r\n");
    assert_eq!(run(displays, &script), format!("own\r\n{shown}"));
    // In a pipeline there is no terminal of the sandbox's own, and so none at all.
    assert_eq!(run(displays, &format!("{script} </dev/null")), shown);
    let typed = run(
        displays,
        "sh -c 'cat; test -t 0 || test -t 2 || echo none >&2' | cat",
    );
    assert_eq!(typed, "none\r\n");
    // What goes elsewhere is as it was written.
    let kept = run(displays, &format!("{script} >kept 2>&1 </dev/null"));
    assert_eq!(kept, "");
    let kept = std::fs::read_to_string(project.path().join("kept")).unwrap();
    assert_eq!(kept, format!("{AS_WRITTEN}\n{AS_WRITTEN}\n"));
    // A bound on the output counts what was written.
    let bound = format!("{displays}[limits]\noutput = \"1K\"\n");
    assert_eq!(run(&bound, &script), format!("own\r\n{shown}"));
    assert_eq!(run(&bound, &format!("{script} </dev/null")), shown);
}

#[test]
fn who_joins_has_no_terminal_that_the_command_may_not_have() {
    let place = Place::new();
    let name = name();
    let profile = "version = 1\n[process]\nescapes = \"display\"\n";
    let live = place.start(&name, profile, HOLD);
    let program = program();
    let runtime = format!("XDG_RUNTIME_DIR={}", place.runtime.path().display());
    let script = format!(
        "cat; for n in 0 1 2; do test -t $n && echo $n; done; {SEQUENCES}; {SEQUENCES} >&2"
    );
    let program = program.to_str().unwrap();
    let words = [
        "env", &runtime, program, "exec", "--no-tty", &name, "--", "sh", "-c", &script,
    ];
    let mut screen = Screen::of(&place.project, &words);
    let (code, output) = screen.ends();
    let shown = format!("{AS_DISPLAYED}\r\n{AS_DISPLAYED}\r\n");
    assert_eq!((code, output), (0, shown));
    screen.is_as_before();
    assert_eq!(live.go(&place.project).code, 0);
}

#[test]
fn without_a_terminal_there_are_pipes_and_nothing_is_typed() {
    let project = Project::new();
    let none = "version = 1\n[process]\nterminal = \"none\"\n";
    let script = "cat; for n in 0 1 2; do test -t $n && echo $n; done; ( : </dev/tty ) 2>/dev/null && echo some; \
         echo one; echo two >&2; echo three; stty size 2>/dev/null || echo without";
    let mut screen = Screen::sandbox(&project, none, &["sh", "-c", script]);
    let (code, output) = screen.ends();
    // One terminal, one pipe: in the order in which it was written.
    assert_eq!(
        (code, output.as_str()),
        (0, "one\r\ntwo\r\nthree\r\nwithout\r\n")
    );
    screen.is_as_before();
    // Control characters of the terminal reach the command as ever.
    let mut screen = Screen::sandbox(&project, none, &["sh", "-c", "echo ready; exec sleep 60"]);
    screen.shows("ready");
    screen.types("\x18");
    assert_eq!(screen.ends().0, 130);
    screen.is_as_before();
    // In pipes nothing is different.
    let run = project.run(none, "cat; echo out; echo err >&2");
    assert_eq!(
        (run.stdout.as_str(), run.stderr.as_str()),
        ("out\n", "err\n")
    );
}

#[test]
fn the_callers_terminal_is_as_before_after_each_kind_of_death() {
    let project = Project::new();
    let ends: [(&str, &str, &[&str], i32); 7] = [
        (
            "an exit",
            PROFILE,
            &["sh", "-c", "stty raw -echo; exit 3"],
            3,
        ),
        (
            "a signal",
            PROFILE,
            &["sh", "-c", "stty raw -echo; kill -9 $$"],
            137,
        ),
        (
            "a hangup inside",
            PROFILE,
            &["sh", "-c", "kill -HUP 0"],
            129,
        ),
        (
            "a command that is not there",
            PROFILE,
            &["/nowhere/at/all"],
            127,
        ),
        (
            "a limit on time",
            "version = 1\n[limits]\nwall_time = \"300ms\"\ngrace = \"10ms\"",
            &["sh", "-c", "trap '' TERM; while :; do sleep 1; done"],
            124,
        ),
        (
            "a limit on output",
            "version = 1\n[limits]\noutput = \"2K\"\noutput_over = \"end\"",
            &["seq", "100000"],
            124,
        ),
        (
            "a set-up that fails",
            "version = 1\n[process]\ncwd = \"/proc/1/nowhere\"",
            &["true"],
            125,
        ),
    ];
    for (what, profile, command, code) in ends {
        let mut screen = Screen::sandbox(&project, profile, command);
        let (ended, output) = screen.ends();
        assert_eq!(ended, code, "{what}: {output:?}");
        screen.is_as_before();
    }
}

#[test]
fn the_callers_terminal_is_as_before_whoever_is_killed() {
    let project = Project::new();
    for (signal, to_init, code) in [
        (Signal::SIGTERM, false, 143),
        (Signal::SIGKILL, false, -9),
        (Signal::SIGKILL, true, 137),
    ] {
        let mut screen =
            Screen::sandbox(&project, PROFILE, &["sh", "-c", "echo up; exec sleep 1000"]);
        screen.shows("up");
        screen.is_raw();
        if to_init {
            kill(Pid::from_raw(screen.init().parse().unwrap()), signal).unwrap();
        } else {
            screen.signal(signal);
        }
        assert_eq!(screen.ends().0, code);
        // Where the supervisor is killed, another process does it.
        eventually("it is as before", || screen.settings() == screen.before);
    }
}

#[test]
fn jobs_are_controlled_inside() {
    let project = Project::new();
    let mut screen = Screen::sandbox(&project, PROFILE, &["bash", "--norc", "-i"]);
    screen.types("PS1='IN''SIDE> '\r");
    screen.shows("INSIDE> ");
    screen.is_raw();
    // The caller's own key for an interrupt; it ends the job and not the shell.
    screen.types("sh -c 'echo sl''eeps; exec sleep 1000'\r");
    screen.shows("sleeps");
    screen.types("\x18");
    screen.shows("INSIDE> ");
    screen.types("sh -c 'echo st''arted; read x; echo \"<$x>\"'\r");
    screen.shows("started");
    screen.types("\x1a");
    screen.shows("Stopped");
    screen.shows("INSIDE> ");
    screen.types("fg\r");
    // The shell says what it continues once the line editor has left the terminal.
    screen.shows("read x");
    screen.types("word\r");
    screen.shows("<word>");
    screen.types("exit 5\r");
    assert_eq!(screen.ends().0, 5);
    screen.is_as_before();
}

#[test]
fn the_sandbox_is_a_job_of_the_shell_outside() {
    let project = Project::new();
    let mut screen = Screen::shell(&project);
    screen.types(
        "box -- sh -c 'echo st''arted; while read x; do echo \"<$x>\"; done; echo en''ded'\r",
    );
    screen.shows("started");
    screen.is_raw();
    for round in ["one", "two", "three"] {
        // Nobody inside looks after the command: it stops together with the sandbox.
        screen.types("\x1a");
        screen.shows("OUTSIDE> ");
        assert_ne!(
            screen.settings(),
            screen.settings().raw(),
            "the shell has its terminal back"
        );
        screen.types("echo the''re\r");
        screen.shows("there");
        screen.shows("OUTSIDE> ");
        screen.types("fg\r");
        screen.is_raw();
        screen.types(&format!("{round}\r"));
        screen.shows(&format!("<{round}>"));
    }
    // From outside, by both signals.
    let pids =
        done(Command::new("pgrep").args(["-x", "-P", &screen.child.id().to_string(), "sandbox"]))
            .ok();
    let supervisor: i32 = pids.lines().next().unwrap().parse().unwrap();
    for signal in [Signal::SIGTSTP, Signal::SIGSTOP] {
        kill(Pid::from_raw(supervisor), signal).unwrap();
        screen.shows("Stopped");
        screen.types("\r");
        screen.shows("OUTSIDE> ");
        screen.types("fg\r");
        screen.is_raw();
        screen.types("again\r");
        screen.shows("<again>");
    }
    screen.types("\x04");
    screen.shows("ended");
    screen.shows("OUTSIDE> ");
    // In the background it only writes, and leaves the terminal to the shell.
    screen.types("box -- sh -c 'echo st''arted; read x; echo \"<$x>\"' &\r");
    screen.shows("started");
    screen.types("\recho the''re\r");
    screen.shows("there");
    assert_ne!(screen.settings(), screen.settings().raw());
    screen.types("fg\r");
    screen.is_raw();
    screen.types("forward\r");
    screen.shows("<forward>");
    screen.shows("OUTSIDE> ");
}

#[test]
fn the_size_is_kept() {
    let project = Project::new();
    let script = "import os, signal, sys, time\ndef say(*_): os.write(1, b'%d %d\\n' % os.get_terminal_size())\nsignal.signal(signal.SIGWINCH, say)\nprint('up', flush=True)\nwhile True: time.sleep(1)";
    let mut screen = Screen::sandbox(&project, PROFILE, &["/usr/bin/python3", "-c", script]);
    screen.shows("up");
    screen.is_raw();
    for (rows, columns) in [(50, 132), (10, 40)] {
        terminal::set_size(screen.peer.as_raw_fd(), Size::of(rows, columns)).unwrap();
        screen.shows(&format!("{columns} {rows}\r\n"));
    }
    screen.types("\x18");
    let (code, output) = screen.ends();
    assert!(output.contains("KeyboardInterrupt"), "{output:?}");
    assert_eq!(code, 130);
}

#[test]
fn a_terminal_that_vanishes_ends_the_run_as_a_hangup_does() {
    let project = Project::new();
    let script = "trap 'echo hung up >told; exit' HUP; touch ready; while :; do sleep 0.05; done";
    let mut screen = Screen::sandbox(&project, PROFILE, &["sh", "-c", script]);
    eventually("it is ready", || project.path().join("ready").exists());
    screen.is_raw();
    screen.master = None;
    screen.child.wait().unwrap();
    assert_eq!(
        std::fs::read_to_string(project.path().join("told")).unwrap(),
        "hung up\n"
    );
}

#[test]
fn limits_hold_at_a_terminal_too() {
    let project = Project::new();
    let profile = "version = 1\n[limits]\noutput = \"1K\"";
    let mut screen = Screen::sandbox(&project, profile, &["seq", "1000"]);
    let (code, output) = screen.ends();
    let all: String = (1..=1000).map(|n| format!("{n}\r\n")).collect();
    let dropped = all.len() - 1024;
    let line =
        format!("sandbox: output cut after 1K: {dropped} bytes dropped (sandbox.toml:3)\r\n");
    assert_eq!((code, output), (0, format!("{}{line}", &all[..1024])));
    // A terminal that takes nothing does not stop the time.
    let profile = "version = 1\n[limits]\nwall_time = \"1s\"\ngrace = \"10ms\"";
    let mut screen = Screen::sandbox(&project, profile, &["sh", "-c", "touch ready; exec yes"]);
    eventually("it is ready", || project.path().join("ready").exists());
    let init = screen.init();
    eventually("the time is over, whatever the terminal takes", || {
        !std::path::Path::new("/proc").join(&init).exists()
    });
    let (code, output) = screen.ends();
    assert_eq!(code, 124);
    assert!(
        output.ends_with("wall time of 1s reached (sandbox.toml:3)\r\n"),
        "{output:?}"
    );
    screen.is_as_before();
}

#[test]
fn nothing_is_typed_for_the_caller() {
    let project = Project::new();
    let mut screen = Screen::shell(&project);
    let script = "import fcntl, os\nfor fd in (0, os.open(\"/dev/tty\", os.O_RDWR)):\n    try: [fcntl.ioctl(fd, 0x5412, bytes([c])) for c in b\"touch typed\\n\"]\n    except OSError as e: print(\"ref\" + \"used\", e.errno)";
    project.write("type.py", script);
    screen.types("box -- python3 type.py; echo do''ne\r");
    let shown = screen.shows("done\r\n");
    assert_eq!(shown.matches("refused").count(), 2, "{shown:?}");
    screen.shows("OUTSIDE> ");
    screen.types("ls typed\r");
    screen.shows("No such file");
}

#[test]
fn programs_that_draw_on_the_screen_work() {
    const TEST: &str = "programs_that_draw_on_the_screen_work";
    if let Some(name) = missing(&["tmux", "vim", "less", "top"]) {
        return skip(TEST, &format!("{name} is not installed"));
    }
    let project = Project::new();
    let profile = "version = 1\n[environment]\ninherit = [\"TERM\"]";
    project.write("sandbox.toml", profile);
    project.write(
        "lines",
        (1..=200).map(|n| format!("line {n}\n")).collect::<String>(),
    );
    let line = format!(
        "box() {{ '{}' --profile sandbox.toml -- \"$@\"; }}\nPS1='OUT> '\n",
        program().display()
    );
    project.write("rc", line);
    let tmux = Tmux::new(&project);
    tmux.opens("bash --noprofile --rcfile rc -i");
    tmux.shows("a prompt", |screen| screen.contains("OUT>"));
    let at_prompt = |screen: &str| screen.trim_end().ends_with("OUT>");
    // Without the size, which tmux hands on when it comes to it.
    let before = "stty -g >before";
    tmux.types(&[before, "Enter"]);

    tmux.types(&["box bash --noprofile --norc -i", "Enter"]);
    tmux.shows("a shell inside", |screen| screen.contains("bash-"));
    // An editor: insert mode, and the tildes of lines that are not there.
    tmux.types(&["vim -u NONE -N new", "Enter"]);
    tmux.shows("vim", |screen| screen.matches("\n~").count() > 15);
    tmux.types(&["iwritten inside", "Escape"]);
    tmux.shows("the text", |screen| screen.starts_with("written inside"));
    // Stopped to the shell inside, and back.
    tmux.types(&["C-z"]);
    tmux.shows("stopped", |screen| screen.contains("Stopped"));
    tmux.types(&["fg", "Enter"]);
    tmux.shows("vim again", |screen| {
        screen.starts_with("written inside") && screen.contains("\n~")
    });
    // A resize is drawn at once.
    tmux.command(&["resize-window", "-t", "main", "-x", "100", "-y", "40"]);
    tmux.shows("larger", |screen| screen.matches("\n~").count() > 30);
    tmux.types(&[":wq", "Enter"]);
    eventually("the file is written", || {
        std::fs::read_to_string(project.path().join("new"))
            .is_ok_and(|text| text == "written inside\n")
    });
    // A pager, by its own keys.
    tmux.types(&["clear; less lines", "Enter"]);
    tmux.shows("the first page", |screen| {
        screen.starts_with("line 1\n") && screen.contains("line 39")
    });
    tmux.types(&["G"]);
    tmux.shows("the last page", |screen| screen.contains("line 200"));
    tmux.types(&["q"]);
    tmux.types(&["clear; top", "Enter"]);
    let screen = tmux.shows("top", |screen| {
        screen.contains("PID") && screen.contains("sandbox-init")
    });
    assert!(!screen.contains("tmux"), "only what is inside:\n{screen}");
    tmux.types(&["q"]);
    // An interrupt inside ends what runs there, and only that.
    tmux.types(&[
        "clear; sh -c 'echo sl''eeps; exec sleep 1000'; echo inter''rupted=$?",
        "Enter",
    ]);
    tmux.shows("what sleeps", |screen| screen.contains("sleeps"));
    tmux.types(&["C-c"]);
    // What is typed before the shell has heard of it is dropped with it.
    tmux.shows("interrupted", |screen| {
        let last = screen.trim_end().lines().last();
        screen.contains("^C") && last.is_some_and(|line| line.starts_with("bash-"))
    });
    tmux.types(&["echo sta''tus=$?", "Enter"]);
    tmux.shows("interrupted", |screen| screen.contains("status=130"));
    tmux.types(&["exit", "Enter"]);
    tmux.shows("the shell outside", at_prompt);
    tmux.types(&[
        "clear; stty -g >after; cmp before after && echo sa''me",
        "Enter",
    ]);
    tmux.shows("the same settings", |screen| screen.contains("same"));

    // An editor without a shell inside: it stops as a job of the shell outside.
    tmux.types(&["clear; box vim -u NONE -N new", "Enter"]);
    tmux.shows("vim", |screen| {
        screen.starts_with("written inside") && screen.contains("\n~")
    });
    tmux.types(&["C-z"]);
    tmux.shows("the shell outside", |screen| {
        screen.contains("Stopped") && screen.contains("OUT>")
    });
    tmux.types(&["fg", "Enter"]);
    tmux.shows("vim again", |screen| {
        screen.starts_with("written inside") && screen.contains("\n~")
    });
    tmux.types(&[":q", "Enter"]);
    tmux.shows("the shell outside", at_prompt);
    tmux.types(&[
        "clear; stty -g >after; cmp before after && echo sa''me",
        "Enter",
    ]);
    tmux.shows("the same settings", |screen| screen.contains("same"));
}
