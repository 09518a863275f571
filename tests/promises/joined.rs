//! A terminal for a command that joins: as the first command of a run has one.

use crate::live::{HOLD, descendants, eventually, lives};
use crate::running::{PLAIN, Place, name};
use crate::screen::{Screen, Tmux, missing};
use crate::support::{done, program, skip};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use sandbox::sys::terminal::{self, Size};
use std::fs::File;
use std::os::fd::AsRawFd as _;

/// What was asked for of a command that joins, besides its name.
struct Joins<'p> {
    place: &'p Place,
    name: &'p str,
}

impl Joins<'_> {
    /// The words of it, as they are in a shell.
    fn line(&self, options: &str, command: &str) -> String {
        format!(
            "XDG_RUNTIME_DIR='{}' '{}' exec {options} {} -- {command}",
            self.place.runtime.path().display(),
            program().display(),
            self.name
        )
    }

    /// One that runs a script at a terminal.
    fn script(&self, options: &str, script: &str) -> Screen {
        self.place.project.write("script", script);
        let path = self.place.project.path().join("script");
        let line = self.line(options, &format!("sh '{}'", path.display()));
        Screen::of(
            &self.place.project,
            &["sh", "-c", &format!("exec env {line}")],
        )
    }
}

/// The pids of what a supervisor has cloned: the parent of the command is the one that is inside.
fn parent_of_command(screen: &Screen) -> Pid {
    Pid::from_raw(screen.init().parse().unwrap())
}

#[test]
fn who_joins_at_a_terminal_has_one_of_the_sandboxs_own() {
    let place = Place::new();
    let name = name();
    let live = place.start(&name, PLAIN, HOLD);
    let joins = Joins {
        place: &place,
        name: &name,
    };
    let script = "tty; readlink /proc/self/fd/0 /proc/self/fd/1 /proc/self/fd/2; stty size; stty -a | grep -o 'intr = ..'; stty -a | grep -o -e '.ixon'; ls -1 /dev/pts; echo named >/dev/tty; set -- $(cut -d' ' -f5-8 /proc/$$/stat); test $1 = $4 && test $2 != $1 && echo in front; stat -c %a $(tty); exit 7";
    let mut screen = joins.script("", script);
    let (code, output) = screen.ends();
    let names = "/dev/pts/0\r\n".repeat(4);
    let rest = "31 97\r\nintr = ^X\r\n-ixon\r\n0\r\nptmx\r\nnamed\r\nin front\r\n620\r\n";
    assert_eq!((code, output), (7, format!("{names}{rest}")));
    screen.is_as_before();
    // Side by side, each has its own; and the terminal of one that has ended is gone.
    let mut one = joins.script("", "tty; read x");
    one.shows("/dev/pts/0");
    let mut other = joins.script("", "tty");
    assert_eq!(other.ends(), (0, "/dev/pts/1\r\n".into()));
    one.types("\r");
    assert_eq!(one.ends().0, 0);
    assert_eq!(joins.script("", "tty").ends(), (0, "/dev/pts/0\r\n".into()));
    // What is explained is that.
    let mut explained = joins.script("--explain", "");
    let (code, output) = explained.ends();
    assert_eq!(code, 0);
    for words in [
        "hand on between the caller's terminal and the sandbox's own",
        "open a terminal of /dev/pts, set and as large as the caller's",
        "make it the controlling terminal",
        "fork the payload, as its parent in the session",
        "come to the foreground of the terminal",
    ] {
        assert!(output.contains(words), "{words}: {output}");
    }
    assert_eq!(live.go(&place.project).code, 0);
}

#[test]
fn who_joins_in_pipes_has_no_terminal_unless_one_is_asked_for() {
    let place = Place::new();
    let name = name();
    let live = place.start(&name, PLAIN, HOLD);
    let joins = Joins {
        place: &place,
        name: &name,
    };
    let script = "for n in 0 1 2; do test -t $n && echo $n; done; echo out; echo err >&2";
    let run = place.exec(&name, script);
    assert_eq!(
        (run.code, &*run.stdout, &*run.stderr),
        (0, "out\n", "err\n")
    );
    let explained = place.done(&["exec", "--explain", &name, "--", "true"]).ok();
    assert!(!explained.contains("controlling terminal"), "{explained}");
    // Asked for in pipes, there is one; what is typed is echoed.
    place.project.write("input", "typed\n");
    let mut command = place.program(&[
        "exec",
        "--tty",
        &name,
        "--",
        "sh",
        "-c",
        "tty; cat; echo err >&2",
    ]);
    command.stdin(File::open(place.project.path().join("input")).unwrap());
    let run = done(&mut command);
    let lines: Vec<_> = run.stdout.lines().filter(|line| *line != "typed").collect();
    assert_eq!((run.code, lines), (0, vec!["/dev/pts/0", "err"]), "{run:?}");
    assert_eq!(run.stdout.lines().count(), 4, "{run:?}");
    // Not wanted at a terminal, there is none: the command works at the caller's.
    let mut screen = joins.script(
        "--no-tty",
        "test -t 0 && test -t 1 && echo both; ls /dev/pts; stty -echo",
    );
    assert_eq!(screen.ends(), (0, "both\r\nptmx\r\n".into()));
    assert_ne!(screen.settings(), screen.before);
    assert_eq!(live.go(&place.project).code, 0);
}

#[test]
fn who_joins_has_the_terminal_that_the_profile_of_the_sandbox_permits() {
    // Where a profile gives none, none is had; and to ask for it is refused, with what to do.
    let none = "version = 1\n[process]\nterminal = \"none\"\n";
    let inherited = "version = 1\n[process]\nsession = \"inherit\"\n";
    let covered = "version = 1\n[[mounts]]\ntarget = \"/dev/pts\"\ntype = \"tmpfs\"\n";
    for (profile, has, said) in [
        (none, "no tty", "terminal = \"none\""),
        (inherited, "a tty", "session = \"inherit\""),
        (covered, "a tty", "/dev/pts"),
    ] {
        let place = Place::new();
        let name = name();
        let live = place.start(&name, profile, HOLD);
        let joins = Joins {
            place: &place,
            name: &name,
        };
        let script = "if test -t 1; then echo a tty; else echo no tty; fi; ls /dev/pts";
        let mut screen = joins.script("", script);
        let (code, output) = screen.ends();
        // A terminal of its own would be listed there.
        assert!(!output.contains("\r\n0\r\n"), "{profile}: {output}");
        assert_eq!((code, output.lines().next()), (0, Some(has)), "{profile}");
        screen.is_as_before();
        let mut screen = joins.script("--tty", "echo in''side");
        let (code, output) = screen.ends();
        assert_eq!(code, 125, "{output}");
        let help = output.contains("help") && output.contains("--tty");
        assert!(output.contains(said) && help, "{output}");
        assert!(!output.contains("inside"), "{output}");
        assert_eq!(live.go(&place.project).code, 0);
    }
    // Of what goes to the caller's terminal, only what is displayed reaches it.
    let place = Place::new();
    let name = name();
    let live = place.start(
        &name,
        "version = 1\n[process]\nescapes = \"display\"\n",
        HOLD,
    );
    let joins = Joins {
        place: &place,
        name: &name,
    };
    let script = "tty; printf 'a\\033[6nb\\033]52;c;eA==\\007c\\n'";
    let mut screen = joins.script("", script);
    assert_eq!(screen.ends(), (0, "/dev/pts/0\r\nabc\r\n".into()));
    assert_eq!(live.go(&place.project).code, 0);
}

#[test]
fn the_callers_terminal_is_as_before_however_a_joined_command_ends() {
    let place = Place::new();
    let name = name();
    let live = place.start(&name, PLAIN, HOLD);
    let joins = Joins {
        place: &place,
        name: &name,
    };
    for (script, code) in [
        ("stty raw -echo; exit 3", 3),
        ("stty raw -echo; kill -9 $$", 137),
        ("kill -HUP 0", 129),
    ] {
        let mut screen = joins.script("", script);
        assert_eq!(screen.ends().0, code, "{script}");
        screen.is_as_before();
    }
    let up = || {
        let mut screen = joins.script("", "stty -echo; echo pid $$; exec sleep 1000");
        screen.shows("pid ");
        screen.is_raw();
        screen
    };
    // What it came by, what is its parent, and who looks after it: each killed by itself.
    for (signal, to_parent, code) in [
        (Signal::SIGTERM, false, 143),
        (Signal::SIGKILL, false, -9),
        (Signal::SIGKILL, true, 137),
    ] {
        let mut screen = up();
        let parent = parent_of_command(&screen);
        let inside = descendants(parent.as_raw() as u32);
        assert_eq!(inside.len(), 1, "the command alone");
        match to_parent {
            true => kill(parent, signal).unwrap(),
            false => screen.signal(signal),
        }
        assert_eq!(screen.ends().0, code);
        eventually("it is as before", || screen.settings() == screen.before);
        eventually("nothing is left", || {
            !lives(parent.as_raw() as u32) && !lives(inside[0])
        });
    }
    // The sandbox's end is its end.
    let mut screen = up();
    assert_eq!(live.go(&place.project).code, 0);
    assert_eq!(screen.ends().0, 137);
    screen.is_as_before();
}

/// A shell with job control, in which the function `join` joins the sandbox.
fn shell(joins: &Joins<'_>) -> Screen {
    let screen = Screen::shell(&joins.place.project);
    joins.place.project.write(
        "join",
        format!("join() {{ {}; }}\n", joins.line("", "\"$@\"")),
    );
    screen
}

#[test]
fn jobs_are_controlled_in_what_joins_and_of_it() {
    let place = Place::new();
    let name = name();
    let live = place.start(&name, PLAIN, HOLD);
    let joins = Joins {
        place: &place,
        name: &name,
    };
    let mut screen = shell(&joins);
    screen.types(". ./join\r");
    screen.shows("OUTSIDE> ");
    // Of a shell inside: an interrupt ends a job, a stop and fg.
    screen.types("join env PS1='IN''SIDE> ' bash --noprofile --norc -i\r");
    screen.shows("INSIDE> ");
    screen.types("sleep 1000; echo co''de=$?\r");
    eventually("it sleeps", || sleeps(&screen));
    screen.types("\x18");
    // What is typed before the shell has heard of it is dropped with it.
    screen.shows("INSIDE> ");
    screen.types("echo co''de=$?\r");
    screen.shows("code=130");
    screen.types("sh -c 'echo st''arted; read x; echo \"<$x>\"'\r");
    screen.shows("started");
    screen.types("\x1a");
    screen.shows("Stopped");
    screen.shows("INSIDE> ");
    screen.types("fg\r");
    screen.shows("echo");
    screen.types("word\r");
    screen.shows("<word>");
    screen.types("exit 5\r");
    screen.shows("OUTSIDE> ");
    // Of the shell outside: what joined stops together with its own supervisor.
    screen
        .types("join sh -c 'echo st''arted; while read x; do echo \"<$x>\"; done; echo en''ded'\r");
    screen.shows("started");
    screen.is_raw();
    for round in ["one", "two"] {
        screen.types("\x1a");
        screen.shows("Stopped");
        screen.shows("OUTSIDE> ");
        assert_ne!(screen.settings(), screen.settings().raw());
        screen.types("fg\r");
        screen.is_raw();
        screen.types(&format!("{round}\r"));
        screen.shows(&format!("<{round}>"));
    }
    // The size is kept, also of what was stopped.
    screen.types("\x04");
    screen.shows("ended");
    screen.shows("OUTSIDE> ");
    screen.types(
        "join sh -c 'trap \"stty size\" WINCH; echo st''arted; while :; do sleep 0.1; done'\r",
    );
    screen.shows("started");
    screen.is_raw();
    terminal::set_size(screen.peer.as_raw_fd(), Size::of(50, 132)).unwrap();
    screen.shows("50 132");
    screen.types("\x18");
    screen.shows("OUTSIDE> ");
    assert_eq!(live.go(&place.project).code, 0);
}

/// Whether somebody whom the screen's shell has started sleeps for as long as the test has asked for.
fn sleeps(screen: &Screen) -> bool {
    let line = |pid: u32| std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let mut started = descendants(screen.child.id()).into_iter();
    started.any(|pid| line(pid) == b"sleep\x001000\x00")
}

#[test]
fn programs_that_draw_on_the_screen_work_where_they_join() {
    const TEST: &str = "programs_that_draw_on_the_screen_work_where_they_join";
    if let Some(name) = missing(&["tmux", "vim"]) {
        return skip(TEST, &format!("{name} is not installed"));
    }
    let place = Place::new();
    let name = name();
    let profile = "version = 1\n[environment]\nset = { TERM = \"screen\" }";
    let live = place.start(&name, profile, HOLD);
    let joins = Joins {
        place: &place,
        name: &name,
    };
    let folder = place.project.path().display().to_string();
    let line = format!("join() {{ {}; }}\nPS1='OUT> '\n", joins.line("", "\"$@\""));
    place.project.write("rc", line);
    let tmux = Tmux::new(&place.project);
    tmux.opens("bash --noprofile --rcfile rc -i");
    let at_prompt = |screen: &str| screen.trim_end().ends_with("OUT>");
    tmux.shows("a prompt", at_prompt);
    tmux.types(&["stty -g >before; clear", "Enter"]);
    tmux.shows("a prompt", at_prompt);
    tmux.types(&[&format!("join vim -u NONE -N '{folder}/new'"), "Enter"]);
    tmux.shows("vim", |screen| screen.matches("\n~").count() > 15);
    tmux.types(&["iwritten inside", "Escape"]);
    tmux.shows("the text", |screen| screen.starts_with("written inside"));
    tmux.types(&["C-z"]);
    tmux.shows("the shell outside", |screen| {
        screen.contains("Stopped") && screen.contains("OUT>")
    });
    tmux.types(&["fg", "Enter"]);
    tmux.shows("vim again", |screen| {
        screen.starts_with("written inside") && screen.contains("\n~")
    });
    tmux.command(&["resize-window", "-t", "main", "-x", "100", "-y", "40"]);
    tmux.shows("larger", |screen| screen.matches("\n~").count() > 30);
    tmux.types(&[":wq", "Enter"]);
    tmux.shows("the shell outside", at_prompt);
    let text = std::fs::read_to_string(place.project.path().join("new")).unwrap();
    assert_eq!(text, "written inside\n");
    tmux.command(&["resize-window", "-t", "main", "-x", "80", "-y", "24"]);
    tmux.types(&[
        "clear; stty -g >after; cmp before after && echo sa''me",
        "Enter",
    ]);
    tmux.shows("the same settings", |screen| screen.contains("same"));
    assert_eq!(live.go(&place.project).code, 0);
}
