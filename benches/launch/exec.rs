//! Joining a sandbox that runs, beside starting one: `sandbox exec` and `crun exec`, with the same confinement.

use crate::{Contender, TRUE, crun, plan};
use sandbox::plan::Plan;
use sandbox::plan::op::{Ids, Op};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Sandboxes that are kept open; ended when this is dropped.
#[derive(Default)]
pub(crate) struct Open(Vec<Command>);

impl Drop for Open {
    fn drop(&mut self) {
        for end in &mut self.0 {
            let _ = quiet(end).status();
        }
    }
}

fn quiet(command: &mut Command) -> &mut Command {
    let command = command.stdin(Stdio::null());
    command.stdout(Stdio::null()).stderr(Stdio::null())
}

/// What joins a sandbox of each program, as far as one can be kept open here.
pub(crate) fn contenders(
    program: &Path,
    project: &Path,
    plan: &Plan,
    folder: &Path,
) -> (Vec<Contender>, Open) {
    let mut open = Open::default();
    let ours = ours(program, project, &mut open);
    let theirs = theirs(plan, folder, &mut open);
    (vec![ours, theirs], open)
}

fn ours(program: &Path, project: &Path, open: &mut Open) -> Contender {
    let name = format!("sandbox-launch-{}", std::process::id());
    let (program, project) = (program.to_owned(), project.to_owned());
    let asked = move |words: &[&str]| {
        let mut command = Command::new(&program);
        command.args(words);
        plan::environment(&mut command, &project);
        command
    };
    // Where it cannot be kept open, nobody can join it, and that is said then.
    let _ = quiet(&mut asked(&["up", &name])).status();
    open.0.push(asked(&["down", &name]));
    Contender {
        name: "sandbox exec",
        next: Box::new(move || asked(&["exec", &name, "--", TRUE])),
    }
}

fn theirs(plan: &Plan, folder: &Path, open: &mut Open) -> Contender {
    crun::bundle(plan, folder, None, &["/usr/bin/sleep", "infinity"]);
    let name = format!("sandbox-launch-{}-open", std::process::id());
    let folder: PathBuf = folder.into();
    let asked = move |words: &[&str]| {
        let mut command = Command::new("crun");
        command.arg("--cgroup-manager=disabled");
        command.arg("--root").arg(folder.join("state"));
        command.args(words).current_dir(&folder);
        command
    };
    let _ = quiet(&mut asked(&["run", "--detach", &name])).status();
    open.0.push(asked(&["delete", "--force", &name]));
    // It would be root inside, who is not mapped.
    let id = |wanted: Ids| {
        let found = plan.steps.iter().find_map(|step| match &step.op {
            Op::WriteIdMap { ids, ranges, .. } if *ids == wanted => ranges.first(),
            _ => None,
        });
        found.map_or(0, |range| range.inside)
    };
    let user = format!("{}:{}", id(Ids::User), id(Ids::Group));
    Contender {
        name: "crun exec",
        next: Box::new(move || asked(&["exec", "--user", &user, &name, TRUE])),
    }
}
