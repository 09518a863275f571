//! The plan that `sandbox` will run, for the peers to be told the same.

use sandbox::diag::{Origin, Sources};
use sandbox::host::Host;
use sandbox::plan::Plan;
use sandbox::plan::draft::Command as Payload;
use sandbox::profile::find;
use sandbox::profile::overlay::Overlay;
use sandbox::profile::variables::Variables;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A short search path and nothing else, so that every machine launches alike.
fn variables_of_environment(project: &Path) -> BTreeMap<String, String> {
    let home = std::env::var("HOME").unwrap_or_else(|_| "/".into());
    let pwd = project.display().to_string();
    [
        ("HOME", home),
        ("PATH", "/usr/bin:/bin".into()),
        ("PWD", pwd),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value))
    .collect()
}

/// Gives a contender that environment.
pub(crate) fn environment(command: &mut Command, project: &Path) {
    command.env_clear().envs(variables_of_environment(project));
}

/// The plan of a profile, or of the built-in default one; says why there is none here.
pub(crate) fn of(project: &Path, profile: Option<&Path>) -> Option<Plan> {
    let environment = variables_of_environment(project);
    let variables = Variables {
        home: environment.get("HOME").map(PathBuf::from),
        working_directory: Some(project.into()),
        project: Some(project.into()),
        temporary: "/tmp".into(),
        uid: nix::unistd::geteuid().as_raw(),
        gid: nix::unistd::getegid().as_raw(),
        environment,
    };
    let source = match profile {
        Some(path) => find::named(&path.to_string_lossy(), &variables),
        None => find::implied(&variables),
    };
    let mut sources = Sources::default();
    let id = sources.add(source.unwrap());
    let program = std::ffi::CString::new(crate::TRUE).unwrap();
    let command = Payload::new([program], &Origin::CommandLine);
    let plan = sandbox::sections::load(&mut sources, id, &variables, &Overlay::default())
        .and_then(|(profile, _)| sandbox::sections::build(&profile, &Host::here(), &command));
    plan.map_err(|problems| println!("  left out: {}", problems.render(&sources, false)))
        .ok()
}
