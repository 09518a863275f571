//! Asking a manager of systemd for a scope (org.freedesktop.systemd1(5), StartTransientUnit), and moving
//! into it.
//!
//! The manager moves us: a plain user may not write to the group that is above both. The scope has no
//! other processes, and ends with its last one, however that ends; the manager clears it away.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use super::bus::{BUS, Callee, Connection, Message};
use super::clear::children;
use super::keyed;
use crate::host::cgroup::{IDLE_WEIGHT, Manager, Scope, run_of_scope, start_time};
use zvariant::Value;

/// How long the manager may take. It may be starting units of its own.
const PATIENCE: Duration = Duration::from_secs(10);

const MANAGER: Callee = Callee {
    destination: "org.freedesktop.systemd1",
    path: "/org/freedesktop/systemd1",
    interface: "org.freedesktop.systemd1.Manager",
};

/// Gets the scope, with this process in it; there is nothing to do where this process is in it already.
///
/// # Errors
/// A sentence: the manager cannot be reached, refuses, does not answer within some ten seconds, or
/// says that it is done while we are not there.
pub fn ask(scope: &Scope) -> Result<(), String> {
    if is_in(scope) {
        return Ok(());
    }
    let socket = &scope.socket;
    let uid = rustix::process::geteuid().as_raw();
    let lost = |error: io::Error| match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
            format!("it has not answered within {} seconds", PATIENCE.as_secs())
        }
        _ => format!("it cannot be talked to: {error}"),
    };
    let connection = Connection::new(&socket.path, socket.bus, uid, PATIENCE);
    start(&mut connection.map_err(lost)?, scope).map_err(lost)??;
    if is_in(scope) {
        return weighs(scope);
    }
    Err(format!(
        "it says that the scope was started, but this process is not in {}",
        scope.dir.display()
    ))
}

/// Reads back what the manager was asked for.
fn weighs(scope: &Scope) -> Result<(), String> {
    let Some(wanted) = scope.cpu_weight else {
        return Ok(());
    };
    let (name, says) = match wanted {
        IDLE_WEIGHT => ("cpu.idle", 1),
        weight => ("cpu.weight", weight),
    };
    let file = scope.dir.join(name);
    let found = std::fs::read_to_string(&file).unwrap_or_else(|error| error.to_string());
    match found.trim() == says.to_string() {
        true => Ok(()),
        false => Err(format!(
            "the scope was started with a cpu weight of {wanted}, but {} says {}",
            file.display(),
            found.trim()
        )),
    }
}

/// Whether this process is in the scope, or in a group below it.
fn is_in(scope: &Scope) -> bool {
    let own = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let path = own.lines().find_map(|line| line.strip_prefix("0::"));
    path.is_some_and(|path| path.split('/').any(|name| name == scope.unit)) && scope.dir.exists()
}

/// Scopes beside ours that their runs never entered. A supervisor that is killed while the manager is
/// about to move it leaves an empty one, and nothing tells the manager that it became so (seen with
/// systemd 252); of all others the manager knows when they end.
fn stale(scope: &Scope) -> Vec<(String, PathBuf)> {
    let Some(slice) = scope.dir.parent() else {
        return Vec::new();
    };
    let names = children(slice).into_iter();
    let is_stale = |name: &String| {
        let gone = run_of_scope(name)
            .is_some_and(|(pid, start)| start_time(&pid.to_string()) != Some(start));
        gone && keyed(&slice.join(name).join("cgroup.events"), "populated") == Some(0)
    };
    let stale = names.filter(is_stale);
    stale.map(|name| (name.clone(), slice.join(name))).collect()
}

/// Sends what there is to send at once, and waits for the end of the job.
fn start(to: &mut Connection, scope: &Scope) -> io::Result<Result<(), String>> {
    if to.is_bus() {
        // Signals come from a bus to those only who want them; a manager itself sends all.
        let rule = "type='signal',interface='org.freedesktop.systemd1.Manager',member='JobRemoved'";
        to.call(BUS, "AddMatch", Some(&(rule,)))?;
        to.call(MANAGER, "Subscribe", None::<&(u8,)>)?;
    }
    let mut swept = Vec::new();
    for (unit, dir) in stale(scope) {
        let call = to.call(MANAGER, "StopUnit", Some(&(unit.as_str(), "replace")))?;
        swept.push((call, dir));
    }
    let mut properties = vec![
        ("Description", Value::from("a run of sandbox")),
        ("Slice", Value::from(scope.slice.as_str())),
        ("Delegate", Value::from(true)),
        // Also after a process in it was killed for want of memory.
        ("CollectMode", Value::from("inactive-or-failed")),
        // Zero is who asks, as the kernel knows it: a number would be one of our pid namespace.
        ("PIDs", Value::from(vec![0_u32])),
    ];
    properties.push(("TasksMax", Value::from(scope.tasks.unwrap_or(u64::MAX))));
    if let Some(weight) = scope.cpu_weight {
        properties.push(("CPUWeight", Value::from(u64::from(weight))));
    }
    if let Some(unit) = &scope.part_of {
        properties.push(("PartOf", Value::from(vec![unit.as_str()])));
    }
    let none: Vec<(&str, Vec<(&str, Value<'_>)>)> = Vec::new();
    let arguments = (scope.unit.as_str(), "fail", properties, none);
    to.call(MANAGER, "StartTransientUnit", Some(&arguments))?;
    loop {
        match to.receive()? {
            // Somebody else has swept meanwhile, or the manager does not know of it any more.
            Message::Error(call, _) if swept.iter().any(|(swept, _)| *swept == call) => {
                for (_, dir) in swept.iter().filter(|(swept, _)| *swept == call) {
                    let _ = std::fs::remove_dir(dir);
                }
            }
            // Of any other call: without a subscription no end would be heard of.
            Message::Error(_, said) => return Ok(Err(format!("it refuses: {said}"))),
            Message::Signal(name, body) if name == "JobRemoved" => {
                let job: Option<(u32, zvariant::ObjectPath<'_>, &str, &str)> = body.read();
                match job {
                    Some((_, _, unit, "done")) if unit == scope.unit => return Ok(Ok(())),
                    Some((_, _, unit, result)) if unit == scope.unit => {
                        let journal = match scope.manager {
                            Manager::System => "journalctl -b",
                            Manager::User => "journalctl --user -b",
                        };
                        let why = format!(
                            "the scope could not be started ({result}): `{journal}` says why"
                        );
                        return Ok(Err(why));
                    }
                    _ => {}
                }
            }
            Message::Signal(..) | Message::Other => {}
        }
    }
}
