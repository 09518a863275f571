//! Which profile a run uses: a path, a name that is looked up, or what the project has.

use crate::diag::Source;
use crate::profile::text::{self, ReadError};
use crate::profile::variables::Variables;
use std::path::{Path, PathBuf};

/// The profiles that are part of the program, by name.
pub const BUILT_IN: &[(&str, &str)] = &[
    ("default", include_str!("../../profiles/default.toml")),
    ("build", include_str!("../../profiles/build.toml")),
    ("cargo", include_str!("../../profiles/cargo.toml")),
    ("python", include_str!("../../profiles/python.toml")),
    ("node", include_str!("../../profiles/node.toml")),
    ("strict", include_str!("../../profiles/strict.toml")),
    ("ci", include_str!("../../profiles/ci.toml")),
];

/// Why there is no profile to run under.
#[derive(Debug, thiserror::Error)]
pub enum FindError {
    /// It was found, and cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// No file and no built-in profile has this name.
    #[error("there is no profile named `{name}`; looked for {}, and among the built-in ones", looked.join(", "))]
    NoSuchName {
        /// The name.
        name: String,
        /// The paths that were tried.
        looked: Vec<String>,
    },
}

impl FindError {
    /// What to do about it.
    #[must_use]
    pub fn remedy(&self) -> String {
        match self {
            Self::Read(error) => error.remedy().into(),
            Self::NoSuchName { .. } => {
                let names: Vec<_> = BUILT_IN.iter().map(|(name, _)| *name).collect();
                format!("the built-in profiles are: {}", names.join(", "))
            }
        }
    }
}

/// Finds and reads the profile that `--profile` names. What holds a `/` or ends in `.toml` is a
/// path, everything else a name.
pub fn named(name: &str, variables: &Variables) -> Result<Source, FindError> {
    looked_up(name, folders(variables))
}

/// The same for a ceiling. No name is looked up where the project could have put a file: it would
/// say itself what it may not exceed.
pub fn ceiling(name: &str, variables: &Variables) -> Result<Source, FindError> {
    looked_up(name, folders_of_people(variables))
}

fn looked_up(name: &str, folders: Vec<PathBuf>) -> Result<Source, FindError> {
    if name.contains('/') || name.ends_with(".toml") {
        return Ok(text::read(Path::new(name), name)?);
    }
    let mut looked = Vec::new();
    for folder in folders {
        let path = folder.join(format!("{name}.toml"));
        if path.symlink_metadata().is_ok() {
            return Ok(text::read(&path, &shown(&path))?);
        }
        looked.push(shown(&path));
    }
    match BUILT_IN.iter().find(|(known, _)| *known == name) {
        Some((_, text)) => Ok(Source::new(format!("built-in:{name}.toml"), *text)),
        None => Err(FindError::NoSuchName {
            name: name.into(),
            looked,
        }),
    }
}

/// The profile of a run without `--profile`: the nearest `sandbox.toml` upwards from the working
/// directory within the project, else the built-in default.
pub fn implied(variables: &Variables) -> Result<Source, FindError> {
    if let (Some(from), Some(project)) = (&variables.working_directory, &variables.project) {
        for folder in from.ancestors().take_while(|a| a.starts_with(project)) {
            let path = folder.join("sandbox.toml");
            if path.symlink_metadata().is_ok() {
                return Ok(text::read(&path, &shown(&path))?);
            }
        }
    }
    let (name, text) = BUILT_IN[0];
    Ok(Source::new(format!("built-in:{name}.toml"), text))
}

/// Where a name is looked up, in this order.
fn folders(variables: &Variables) -> Vec<PathBuf> {
    let mut folders = vec![PathBuf::from("."), PathBuf::from(".sandbox")];
    folders.extend(variables.project.as_ref().map(|p| p.join("profiles")));
    folders.extend(folders_of_people(variables));
    folders
}

/// Those that belong to the user or to whoever keeps the machine, not to a project.
fn folders_of_people(variables: &Variables) -> Vec<PathBuf> {
    let config = variables
        .environment
        .get("XDG_CONFIG_HOME")
        .map(PathBuf::from)
        .filter(|p| p.is_absolute())
        .or_else(|| variables.home.as_ref().map(|h| h.join(".config")));
    let mut folders: Vec<_> = config.map(|c| c.join("sandbox")).into_iter().collect();
    folders.push("/etc/sandbox".into());
    folders
}

fn shown(path: &Path) -> String {
    path.strip_prefix(".").unwrap_or(path).display().to_string()
}

/// The project's folder: the nearest one upwards that holds `.git`, `.sandbox` or `sandbox.toml`,
/// else the working directory itself. Never the root, the home directory or a folder above it,
/// nor a folder of the system: a grant of those would be a grant of everything.
#[must_use]
pub fn project(working_directory: &Path, home: Option<&Path>) -> Option<PathBuf> {
    const SYSTEM: &[&str] = &[
        "/bin", "/boot", "/etc", "/home", "/lib", "/lib64", "/media", "/mnt", "/opt", "/root",
        "/sbin", "/srv", "/tmp", "/usr", "/var", "/var/tmp",
    ];
    const PSEUDO: &[&str] = &["/dev", "/proc", "/run", "/sys"];
    let too_much = |folder: &Path| {
        folder.parent().is_none()
            || home.is_some_and(|home| home.starts_with(folder))
            || SYSTEM.iter().any(|system| folder == Path::new(system))
            || PSEUDO.iter().any(|pseudo| folder.starts_with(pseudo))
    };
    let marked = working_directory
        .ancestors()
        .take_while(|a| !too_much(a))
        .find(|folder| {
            [".git", ".sandbox", "sandbox.toml"]
                .iter()
                .any(|mark| folder.join(mark).symlink_metadata().is_ok())
        });
    match marked {
        Some(folder) => Some(folder.to_owned()),
        None if too_much(working_directory) => None,
        None => Some(working_directory.to_owned()),
    }
}
