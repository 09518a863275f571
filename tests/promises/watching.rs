//! `--watch`: what runs is shown again and again, and the terminal is as it was when that is over.

use crate::live::{HOLD, eventually};
use crate::running::{PLAIN, Place, name};
use crate::screen::Screen;
use crate::support::program;
use nix::sys::signal::Signal;
use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

/// What gives the screen back that was there before.
const LEFT: &str = "\x1b[?1049l";

/// `sandbox` with these words, at a terminal.
fn at_terminal(place: &Place, words: &[&str]) -> Screen {
    let runtime = format!("XDG_RUNTIME_DIR={}", place.runtime.path().display());
    let program = program();
    let mut all = vec!["env", &runtime, program.to_str().unwrap()];
    all.extend(words);
    Screen::of(&place.project, &all)
}

#[test]
fn what_is_watched_at_a_terminal_leaves_it_as_it_was() {
    let place = Place::new();
    let name = name();
    let live = place.start(&name, PLAIN, HOLD);
    for words in [
        &["ps", "--watch"][..],
        &["stats", "-w"],
        &["stats", "--watch", &name],
    ] {
        for (keys, signal, code) in [
            ("q", None, 0),
            ("\x03", None, 0),
            ("", Some(Signal::SIGTERM), 143),
            ("", Some(Signal::SIGINT), 130),
            ("", Some(Signal::SIGHUP), 129),
        ] {
            let mut screen = at_terminal(&place, words);
            screen.shows("(q: end)");
            screen.shows(&name);
            assert_ne!(screen.settings(), screen.before, "{words:?}");
            // Another key changes nothing: it goes on.
            screen.types("x");
            screen.shows(&name);
            screen.types(keys);
            if let Some(signal) = signal {
                screen.signal(signal);
            }
            let (ended, rest) = screen.ends();
            assert_eq!(ended, code, "{words:?} {keys:?}");
            assert!(rest.ends_with(LEFT), "{words:?} {keys:?}: {rest:?}");
            screen.is_as_before();
        }
    }
    // The end of what is watched by name is the end of watching.
    let mut screen = at_terminal(&place, &["stats", "--watch", &name]);
    screen.shows(&name);
    assert_eq!(live.go(&place.project).code, 0);
    let (code, rest) = screen.ends();
    assert_eq!((code, rest.ends_with(LEFT)), (0, true), "{rest:?}");
    screen.is_as_before();
}

#[test]
fn what_starts_and_ends_while_it_is_watched_is_seen() {
    let place = Place::new();
    let (one, other) = (name(), name());
    let first = place.start(&one, PLAIN, HOLD);
    let mut screen = at_terminal(&place, &["ps", "--watch"]);
    screen.shows(&one);
    let second = place.start(&other, PLAIN, HOLD);
    screen.shows(&other);
    place.project.write("go", "");
    assert_eq!((first.done().code, second.done().code), (0, 0));
    eventually("neither is shown", || {
        // A whole frame.
        screen.shows("(q: end)");
        let frame = screen.shows("\x1b[J");
        !frame.contains(&one) && !frame.contains(&other)
    });
    screen.types("q");
    assert_eq!(screen.ends().0, 0);
    screen.is_as_before();
}

#[test]
fn watching_is_a_job_of_the_shell() {
    let place = Place::new();
    let name = name();
    let live = place.start(&name, PLAIN, HOLD);
    let mut screen = Screen::shell(&place.project);
    let line = format!(
        "XDG_RUNTIME_DIR={} {} ps --watch\n",
        place.runtime.path().display(),
        program().display()
    );
    screen.types(&line);
    screen.shows(&name);
    screen.types("\x1a");
    screen.shows(LEFT);
    screen.shows("Stopped");
    screen.shows("OUTSIDE> ");
    screen.types("fg\n");
    screen.shows("\x1b[?1049h");
    screen.shows(&name);
    screen.types("q");
    screen.shows(LEFT);
    screen.shows("OUTSIDE> ");
    screen.types("exit\n");
    assert_eq!(screen.ends().0, 0);
    assert_eq!(live.go(&place.project).code, 0);
}

#[test]
fn in_pipes_tables_follow_each_other() {
    let place = Place::new();
    let name = name();
    let live = place.start(&name, PLAIN, HOLD);
    let lines = |words: &[&str], count: usize| -> Vec<String> {
        let mut child = place.program(words).stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        // The reader goes when it has enough, and nobody complains.
        let lines = lines
            .map(Result::unwrap)
            .filter(|line| line.contains(&name));
        let seen: Vec<_> = lines.take(count).collect();
        assert!(child.wait().unwrap().success());
        seen
    };
    for line in lines(&["ps", "--watch"], 3) {
        assert!(
            line.contains("running") && !line.contains('\x1b'),
            "{line:?}"
        );
    }
    for line in lines(&["ps", "--watch", "--json"], 2) {
        let said: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(said["version"], 1);
    }
    for line in lines(&["stats", "--watch", &name], 2) {
        assert!(!line.contains('\x1b'), "{line:?}");
    }
    assert_eq!(live.go(&place.project).code, 0);
}
