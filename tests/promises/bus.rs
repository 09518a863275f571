//! Of a message bus, what is permitted is reached and nothing else; and nothing of who stands between is left.

use crate::live::{HOLD, Live, SWEEPING, descendants, eventually, lives};
use crate::running::Place;
use crate::screen::missing;
use crate::support::{Project, done, is_root, skip};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

/// A bus of the test's own, with somebody who owns `org.example.Yes` and `org.example.No`.
struct Bus {
    folder: Project,
    started: Vec<Child>,
}

const CLIENT: &str = include_str!("bus.py");

impl Bus {
    /// Starts it; none where this machine lacks a program.
    fn start(test: &str) -> Option<Self> {
        if let Some(name) = missing(&["dbus-daemon", "xdg-dbus-proxy"]) {
            skip(test, &format!("{name} is not installed"));
            return None;
        }
        let folder = Project::new();
        let address = format!("unix:path={}", folder.path().join("bus").display());
        let policy = "<policy context=\"default\"><allow send_destination=\"*\" eavesdrop=\"true\"/><allow eavesdrop=\"true\"/><allow own=\"*\"/></policy>";
        let text = format!(
            "<busconfig><type>session</type><listen>{address}</listen><auth>EXTERNAL</auth>{policy}</busconfig>"
        );
        let config = folder.write("config", text);
        folder.write("client.py", CLIENT);
        let mut bus = Self {
            folder,
            started: Vec::new(),
        };
        let mut daemon = Command::new("dbus-daemon");
        daemon
            .args(["--nofork", "--nopidfile", "--config-file"])
            .arg(config);
        bus.spawn(&mut daemon);
        eventually("the bus is there", || bus.socket().exists());
        let ready = bus.folder.path().join("ready");
        let mut service = Command::new("/usr/bin/python3");
        service
            .arg(bus.folder.path().join("client.py"))
            .arg(&address)
            .arg("serve");
        service
            .arg(&ready)
            .args(["org.example.Yes", "org.example.No"]);
        bus.spawn(&mut service);
        eventually("it is served", || ready.exists());
        Some(bus)
    }

    fn spawn(&mut self, command: &mut Command) {
        command.stderr(std::process::Stdio::null());
        self.started.push(command.spawn().unwrap());
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("bus")
    }

    fn address(&self) -> String {
        format!("unix:path={}", self.socket().display())
    }
}

impl Drop for Bus {
    fn drop(&mut self) {
        for child in &mut self.started {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// What asks the bus inside.
fn asks(place: &Place, words: &str) -> String {
    place.project.write("client.py", CLIENT);
    let client = place.project.path().join("client.py");
    format!(
        "python3 {} \"$DBUS_SESSION_BUS_ADDRESS\" {words}",
        client.display()
    )
}

/// A run at this bus, with the caller's address of the session's.
fn at(place: &Place, bus: &Bus, profile: &str, script: &str) -> Command {
    place.project.write("sandbox.toml", profile);
    let mut command = place.program(&["--", "sh", "-c", script]);
    command.env("DBUS_SESSION_BUS_ADDRESS", bus.address());
    command
}

const TALKS: &str = "version = 1\n[[bus]]\naddress = \"session\"\ntalk = [\"org.example.Yes\"]\n";

/// The folder of sockets of one supervisor, if there is one.
fn folder_of(place: &Place, supervisor: u32) -> Option<PathBuf> {
    let mut found = std::fs::read_dir(place.records())
        .into_iter()
        .flatten()
        .flatten();
    let is = |name: &str| {
        name.starts_with("bus-") && name.split('-').nth(1) == Some(&supervisor.to_string())
    };
    let found = found.find(|entry| is(&entry.file_name().to_string_lossy()));
    found.map(|entry| entry.path())
}

#[test]
fn of_a_bus_what_is_permitted_is_reached_and_nothing_else() {
    let Some(bus) = Bus::start("of_a_bus_what_is_permitted_is_reached_and_nothing_else") else {
        return;
    };
    let place = Place::new();
    let profile = format!(
        "{TALKS}own = [\"org.example.Mine.*\"]\n\
         [[bus]]\naddress = \"{}\"\ntarget = \"/run/second\"\nsee = [\"org.example.No\"]\ncall = [\"org.example.Yes=org.example.Interface.Some@/object\"]\n",
        bus.socket().display()
    );
    let asked = asks(
        &place,
        "call=org.example.Yes call=org.example.No own=org.example.Mine.One own=org.example.Other list=",
    );
    let second = asked.replace("\"$DBUS_SESSION_BUS_ADDRESS\"", "unix:path=/run/second");
    let second = second.split(" call=").next().unwrap();
    let script = format!(
        "{asked}; {second} call=org.example.Yes!Some call=org.example.Yes!Other call=org.example.No list=; \
         echo $DBUS_SESSION_BUS_ADDRESS; test -e {} || echo hidden",
        bus.socket().display()
    );
    let run = done(&mut at(&place, &bus, &profile, &script));
    let expected = "call=org.example.Yes True\ncall=org.example.No False\nown=org.example.Mine.One True\n\
         own=org.example.Other False\nlist= ['org.example.Yes']\n\
         call=org.example.Yes!Some True\ncall=org.example.Yes!Other False\ncall=org.example.No False\n\
         list= ['org.example.No', 'org.example.Yes']\nunix:path=/run/bus/session\nhidden\n";
    assert_eq!((run.code, run.stdout.as_str()), (0, expected), "{run:?}");
}

#[test]
fn without_an_entry_no_bus_is_shown() {
    let Some(bus) = Bus::start("without_an_entry_no_bus_is_shown") else {
        return;
    };
    let place = Place::new();
    let script = "echo ${DBUS_SESSION_BUS_ADDRESS-none}; ls /run/bus /run/dbus 2>/dev/null";
    let run = done(&mut at(&place, &bus, "version = 1\n", script));
    assert_eq!(run.stdout, "none\n", "{run:?}");
    place.project.write("sandbox.toml", "version = 1\n");
    let explained = place.done(&["explain", "--", "true"]).ok();
    assert!(!explained.contains("xdg-dbus-proxy"), "{explained}");
}

#[test]
fn nothing_of_a_bus_is_left_however_the_run_ends() {
    let Some(bus) = Bus::start("nothing_of_a_bus_is_left_however_the_run_ends") else {
        return;
    };
    let place = Place::new();
    let start = || {
        let _ = std::fs::remove_file(place.project.path().join("ready"));
        let mut live = Live::spawn(&mut at(&place, &bus, TALKS, HOLD));
        live.await_file(&place.project.path().join("ready"));
        let supervisor = live.supervisor();
        assert!(folder_of(&place, supervisor).unwrap().join("0").exists());
        let proxy = descendants(supervisor).into_iter().find(|pid| {
            let line = std::fs::read_to_string(format!("/proc/{pid}/cmdline"));
            line.is_ok_and(|line| line.contains("xdg-dbus-proxy"))
        });
        (live, supervisor, proxy.unwrap())
    };
    // By itself.
    let (live, supervisor, proxy) = start();
    assert_eq!(live.go(&place.project).code, 0);
    assert!(!lives(proxy));
    assert_eq!(folder_of(&place, supervisor), None);
    // The supervisor is killed: its folder goes with the next run that has a bus, or with gc.
    for by_gc in [false, true] {
        let _ = std::fs::remove_file(place.project.path().join("go"));
        let (mut live, supervisor, proxy) = start();
        live.kill();
        eventually("the proxy has ended", || !lives(proxy));
        if by_gc {
            let _alone = SWEEPING.lock().unwrap_or_else(|held| held.into_inner());
            let swept = place.done(&["gc"]).ok();
            let shown = swept.contains("socket of a bus");
            // Somebody else's run may have been faster, where all runs of root share a folder.
            assert!(shown || is_root(), "{swept}");
        } else {
            assert_eq!(done(&mut at(&place, &bus, TALKS, "true")).code, 0);
        }
        assert_eq!(folder_of(&place, supervisor), None);
    }
    // Who stands between is killed: the bus is gone, the run goes on, and that is said.
    let _ = std::fs::remove_file(place.project.path().join("go"));
    let (live, supervisor, proxy) = start();
    nix::sys::signal::kill(
        nix::unistd::Pid::from_raw(proxy as i32),
        nix::sys::signal::Signal::SIGKILL,
    )
    .unwrap();
    let run = live.go(&place.project);
    assert_eq!(run.code, 0, "{run:?}");
    assert!(
        run.stderr
            .contains("xdg-dbus-proxy ended before the command did"),
        "{run:?}"
    );
    assert_eq!(folder_of(&place, supervisor), None);
}

#[test]
fn where_nobody_stands_between_no_command_starts() {
    let Some(bus) = Bus::start("where_nobody_stands_between_no_command_starts") else {
        return;
    };
    let place = Place::new();
    // A program of that name that ends at once, and says nothing.
    let tools = Project::new();
    tools.executable("xdg-dbus-proxy", "#!/bin/sh\nexit 1\n");
    let path = std::env::var("PATH").unwrap_or_default();
    let mut command = at(&place, &bus, TALKS, "touch started");
    command.env("PATH", format!("{}:{path}", tools.path().display()));
    let said = done(&mut command).fails(125);
    assert!(said.contains("xdg-dbus-proxy ended"), "{said}");
    assert!(!Path::new(place.project.path()).join("started").exists());
    // No bus is there.
    let mut command = at(&place, &bus, TALKS, "touch started");
    command.env_remove("DBUS_SESSION_BUS_ADDRESS");
    let said = done(&mut command).fails(125);
    assert!(
        said.contains("there is no bus") && said.contains("sandbox.toml:3"),
        "{said}"
    );
}
