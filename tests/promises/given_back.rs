//! What a command changes on the caller's terminal besides its settings, and does not change back.

use crate::live::{HOLD, PATIENCE, descendants, eventually};
use crate::running::{PLAIN, Place, name};
use crate::screen::{PROFILE, Screen, Tmux, missing};
use crate::support::{Project, program, skip};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::time::{Duration, Instant};

/// The other screen, no cursor, marks around what is pasted, mouse reports, keys, margins, another character set and a
/// colour; as printf(1) writes it.
const LEAVES: &str =
    r"printf '\033[?1049h\033[?25l\033[?2004h\033[?1000h\033[?1h\033=\033[2;9r\033(0\033[31mup\n'";
/// What takes it back.
const UNDONE: &str =
    "\x1b[?1049l\x1b[?1l\x1b[?25h\x1b[?1000l\x1b[?2004l\x1b7\x1b[r\x1b8\x1b>\x1b(B\x1b[0m";

/// Waits until it is given back: what came before that.
#[track_caller]
fn is_given_back(screen: &mut Screen, what: &str) {
    let start = Instant::now();
    while !screen.unseen.contains(UNDONE) {
        assert!(start.elapsed() < PATIENCE, "{what}: {:?}", screen.unseen);
        screen.look(Duration::from_millis(20));
    }
    assert_eq!(screen.unseen.matches("\x1b[?1049l").count(), 1, "{what}");
}

#[test]
fn what_a_command_leaves_on_the_screen_is_given_back_however_it_ends() {
    let project = Project::new();
    let limited = "version = 1\n[limits]\nwall_time = \"500ms\"\ngrace = \"10ms\"";
    let cut = "version = 1\n[limits]\noutput = \"100\"";
    let long = format!("{LEAVES}; seq 1000; printf '\\033[?1049l\\033[?25h'");
    for (profile, script, code) in [
        (PROFILE, format!("{LEAVES}; exit 3"), 3),
        (PROFILE, format!("{LEAVES}; kill -9 $$"), 137),
        (
            limited,
            format!("{LEAVES}; trap '' TERM; while :; do sleep 1; done"),
            124,
        ),
        // What would have taken it back is cut off.
        (cut, long, 0),
    ] {
        let mut screen = Screen::sandbox(&project, profile, &["sh", "-c", &script]);
        let (ended, output) = screen.ends();
        assert_eq!(ended, code, "{script}: {output:?}");
        let (_, after) = output
            .split_once(UNDONE)
            .unwrap_or_else(|| panic!("{script}: {output:?}"));
        // What the sandbox says comes after it, to be read.
        assert_eq!(
            after.contains("sandbox: "),
            profile != PROFILE,
            "{output:?}"
        );
        assert!(!after.contains('\x1b'), "{output:?}");
        screen.is_as_before();
    }
}

#[test]
fn what_a_command_leaves_on_the_screen_is_given_back_whoever_is_killed() {
    let project = Project::new();
    let script = format!("{LEAVES}; exec sleep 1000");
    for (signal, to_init) in [
        (Signal::SIGTERM, false),
        (Signal::SIGKILL, false),
        (Signal::SIGKILL, true),
    ] {
        let mut screen = Screen::sandbox(&project, PROFILE, &["sh", "-c", &script]);
        screen.shows("up\r\n");
        screen.is_raw();
        match to_init {
            true => kill(Pid::from_raw(screen.init().parse().unwrap()), signal).unwrap(),
            false => screen.signal(signal),
        }
        is_given_back(&mut screen, &format!("{signal} {to_init}"));
        screen.child.wait().unwrap();
        // Where the supervisor is killed, another process does it.
        eventually("it is as before", || screen.settings() == screen.before);
    }
    // The same of a command that joins.
    let place = Place::new();
    let name = name();
    let live = place.start(&name, PLAIN, HOLD);
    let runtime = format!("XDG_RUNTIME_DIR={}", place.runtime.path().display());
    let program = program();
    let words = [
        "env",
        &runtime,
        program.to_str().unwrap(),
        "exec",
        &name,
        "--",
        "sh",
        "-c",
        &script,
    ];
    let mut screen = Screen::of(&place.project, &words);
    screen.shows("up\r\n");
    assert_eq!(live.go(&place.project).code, 0);
    is_given_back(&mut screen, "the end of the sandbox");
    assert_eq!(screen.ends().0, 137);
}

#[test]
fn what_a_command_has_given_back_itself_is_left_alone() {
    let project = Project::new();
    let script = r"printf '\033[?1049h\033[?25l\033[31mred\033[0m\033[?25h\033[?1049l'; kill -9 $$";
    let mut screen = Screen::sandbox(&project, PROFILE, &["sh", "-c", script]);
    let written = "\x1b[?1049h\x1b[?25l\x1b[31mred\x1b[0m\x1b[?25h\x1b[?1049l";
    assert_eq!(screen.ends(), (137, written.into()));
    // What it has begun to say and not ended is cancelled, so that what is said next is not taken for the rest of it.
    let mut screen = Screen::sandbox(&project, PROFILE, &["printf", r"\033]2;half a title"]);
    assert_eq!(screen.ends(), (0, "\x1b]2;half a title\x18".into()));
    // Somebody else's place is not written to.
    let run = project.run(PROFILE, &format!("{LEAVES}; kill -9 $$"));
    assert!(!run.stdout.contains("\x1b[?1049l"), "{run:?}");
    let mut command = project.program(&[
        "--tty",
        "--profile",
        "sandbox.toml",
        "--",
        "sh",
        "-c",
        LEAVES,
    ]);
    let run = crate::support::done(command.stdin(std::process::Stdio::null()));
    assert!(run.stdout.contains("\x1b[?1049h"), "{run:?}");
    assert!(!run.stdout.contains("\x1b[?1049l"), "{run:?}");
}

/// What tmux(1) knows of a terminal.
const FLAGS: &str = "#{alternate_on} #{cursor_flag} #{mouse_any_flag} #{mouse_sgr_flag} #{keypad_cursor_flag} #{keypad_flag} #{insert_flag} #{wrap_flag} #{scroll_region_upper} #{scroll_region_lower}";

#[test]
fn the_screen_is_as_before_when_what_draws_on_it_is_killed() {
    const TEST: &str = "the_screen_is_as_before_when_what_draws_on_it_is_killed";
    if let Some(name) = missing(&["tmux", "vim", "less"]) {
        return skip(TEST, &format!("{name} is not installed"));
    }
    let project = Project::new();
    let profile = "version = 1\n[environment]\ninherit = [\"TERM\"]";
    project.write("sandbox.toml", profile);
    let lines: String = (1..=200).map(|n| format!("line {n}\n")).collect();
    project.write("lines", lines);
    let line = format!(
        "box() {{ '{}' --profile sandbox.toml -- \"$@\"; }}\nPS1='OUT> '\n",
        program().display()
    );
    project.write("rc", line);
    let tmux = Tmux::new(&project);
    tmux.opens("bash --noprofile --rcfile rc -i");
    let at_prompt = |screen: &str| screen.trim_end().ends_with("OUT>");
    tmux.shows("a prompt", at_prompt);
    let flags = || tmux.command(&["display-message", "-p", "-t", "main", FLAGS]);
    let shell = tmux.command(&["display-message", "-p", "-t", "main", "#{pane_pid}"]);
    let shell: u32 = shell.trim().parse().unwrap();
    let before = flags();
    assert!(before.starts_with("0 1 0 "), "{before}");
    for (program, words) in [
        ("vim", "vim -u NONE -N --cmd 'set mouse=a' lines"),
        ("less", "less --mouse lines"),
    ] {
        // Another line for each, or that of the one before would be taken for it.
        let written = format!("written before {program}");
        tmux.types(&[&format!("clear; echo {written}"), "Enter"]);
        tmux.shows("what is written before", |screen| {
            screen.starts_with(&format!("{written}\n")) && at_prompt(screen)
        });
        tmux.types(&[&format!("box {words}"), "Enter"]);
        tmux.shows(program, |screen| screen.starts_with("line 1\n"));
        eventually("it has the terminal's other screen", || {
            flags().starts_with("1 ")
        });
        let line = |pid: &u32| std::fs::read_to_string(format!("/proc/{pid}/cmdline"));
        let is = |pid: &u32| line(pid).is_ok_and(|line| line.starts_with(&format!("{program}\0")));
        let pid = descendants(shell).into_iter().find(is).unwrap();
        kill(Pid::from_raw(pid as i32), Signal::SIGKILL).unwrap();
        let screen = tmux.shows("the shell", at_prompt);
        let left = format!("{written}\nOUT> box");
        assert!(screen.starts_with(&left), "{screen}");
        assert!(!screen.contains("line 1"), "{screen}");
        assert_eq!(flags(), before, "{program}");
    }
}
