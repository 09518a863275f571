//! Which profile a run uses: a path, a name that is looked up, or what the project has.

use crate::diag::{Code, Source};
use crate::profile::revision::{self, RevisionError};
use crate::profile::text::{self, ReadError};
use crate::profile::variables::Variables;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

/// The profiles that are part of the program, by name.
pub const BUILT_IN: &[(&str, &str)] = &[
    ("default", include_str!("../../profiles/default.toml")),
    ("build", include_str!("../../profiles/build.toml")),
    ("cargo", include_str!("../../profiles/cargo.toml")),
    ("python", include_str!("../../profiles/python.toml")),
    ("node", include_str!("../../profiles/node.toml")),
    ("strict", include_str!("../../profiles/strict.toml")),
    ("go", include_str!("../../profiles/go.toml")),
    ("ci", include_str!("../../profiles/ci.toml")),
];

/// Why there is no profile to run under.
#[derive(Debug, thiserror::Error)]
pub enum FindError {
    /// It was found, and cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// No file and no built-in profile has this name.
    #[error(
        "there is no profile named `{name}`; looked {}among the built-in ones",
        looked_for(looked)
    )]
    NoSuchName {
        /// The name.
        name: String,
        /// The paths that were tried.
        looked: Vec<String>,
    },
    /// It is extended by a revision, and is not in the same commit.
    #[error(transparent)]
    Revision(#[from] RevisionError),
    /// A path under `extends` that does not end in `.toml`.
    #[error("`{path}` is extended and does not end in `.toml`")]
    NotAProfile {
        /// The path.
        path: String,
    },
}

fn looked_for(looked: &[String]) -> String {
    if looked.is_empty() {
        String::new()
    } else {
        format!("for {}, and ", looked.join(", "))
    }
}

impl FindError {
    /// The code under which the documentation lists it.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::Read(ReadError::Io { .. }) | Self::NoSuchName { .. } => Code::NotFound,
            Self::NotAProfile { .. } => Code::BadPath,
            Self::Revision(_) => Code::NoRevision,
            Self::Read(_) => Code::Unreadable,
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn remedy(&self) -> String {
        match self {
            Self::Read(error) => error.remedy().into(),
            Self::Revision(error) => error.remedy().into(),
            Self::NotAProfile { .. } => "name a profile: `./base.toml`, or just `base`".into(),
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
    if is_path(name) {
        return Ok(text::read(Path::new(name), name)?);
    }
    look_up(name, named_folders(variables), None)
}

/// The same for a ceiling. No name is looked up where the project could have put a file: it would
/// say itself what it may not exceed. For the same reason a ceiling extends built-in profiles only.
pub fn ceiling(name: &str, variables: &Variables) -> Result<Source, FindError> {
    let source = if is_path(name) {
        text::read(Path::new(name), name)?
    } else {
        look_up(name, folders_of_people(variables).into_iter(), None)?
    };
    Ok(source.in_no_folder())
}

/// Where a name on the command line is looked up, in this order.
fn named_folders(variables: &Variables) -> impl Iterator<Item = PathBuf> {
    let here = [PathBuf::from("."), PathBuf::from(".sandbox")];
    here.into_iter().chain(folders(variables))
}

/// Finds and reads what a profile extends: a path is relative to its folder, and a name is looked
/// up there first; the working directory does not matter. A name never means the profile itself, so
/// that `build.toml` can extend the built-in `build`. A built-in one extends built-in ones.
///
/// A path must end in `.toml`: what is wrong with a profile is shown with its line, and a stranger's
/// profile could otherwise have lines of any file shown, in the log of a CI service for instance.
pub fn extended(name: &str, by: &Source, variables: &Variables) -> Result<Source, FindError> {
    if by.is_revision() {
        return extended_by_revision(name, by, variables);
    }
    let Some(folder) = by.folder() else {
        return look_up(name, std::iter::empty(), Some(by));
    };
    if !is_path(name) {
        let here = std::iter::once(folder.to_owned());
        return look_up(name, here.chain(folders(variables)), Some(by));
    }
    if !name.ends_with(".toml") {
        return Err(FindError::NotAProfile { path: name.into() });
    }
    let path = folder.join(name);
    Ok(text::read(&path, &beside(name, by))?)
}

/// The same for a revision: what lies beside it lies there in the same commit.
fn extended_by_revision(
    name: &str,
    by: &Source,
    variables: &Variables,
) -> Result<Source, FindError> {
    let path = variables.environment.get("PATH");
    let read = |path_of: &str| {
        let revision = revision::beside(by.name(), path_of);
        let search = path.map_or("", String::as_str);
        revision::read(&revision, search, variables.home.as_deref())
    };
    if !is_path(name) {
        return match read(&format!("{name}.toml")) {
            Ok(source) if !source.is_same(by) => Ok(source),
            _ => look_up(name, folders(variables).into_iter(), Some(by)),
        };
    }
    if !name.ends_with(".toml") {
        return Err(FindError::NotAProfile { path: name.into() });
    }
    Ok(read(name)?)
}

/// How messages call the file that a path names beside another: as the other is called.
fn beside(path: &str, by: &Source) -> String {
    match by.name().rsplit_once('/') {
        Some((folder, _)) if !path.starts_with('/') => {
            format!("{folder}/{}", path.trim_start_matches("./"))
        }
        _ => path.trim_start_matches("./").into(),
    }
}

fn is_path(name: &str) -> bool {
    name.contains('/') || name.ends_with(".toml")
}

/// Looks a name up in folders, then among the built-in profiles; `but` is not meant.
fn look_up(
    name: &str,
    folders: impl Iterator<Item = PathBuf>,
    but: Option<&Source>,
) -> Result<Source, FindError> {
    let is_meant = |source: &Source| !but.is_some_and(|but| but.is_same(source));
    let mut looked = Vec::new();
    for folder in folders {
        let path = folder.join(format!("{name}.toml"));
        let shown = match but {
            Some(by) if by.folder() == Some(&folder) => beside(&format!("{name}.toml"), by),
            _ => shown(&path),
        };
        if within_reach(&path).map_err(|cause| unread(&path, cause))? {
            let source = text::read(&path, &shown)?;
            if is_meant(&source) {
                return Ok(source);
            }
        }
        looked.push(shown);
    }
    built_in(name)
        .filter(is_meant)
        .ok_or_else(|| FindError::NoSuchName {
            name: name.into(),
            looked,
        })
}

/// A profile that `--profile` can name.
#[derive(Debug)]
pub struct Nameable {
    /// Its name.
    pub name: String,
    /// Its file; none for a built-in one.
    pub path: Option<PathBuf>,
    /// Its text, if it can be read.
    pub source: Result<Source, ReadError>,
}

/// Every profile that can be named, by name; those of one name in the order of the look-up, so that
/// the first is the one that is used.
#[must_use]
pub fn nameable(variables: &Variables) -> Vec<Nameable> {
    let mut all = Vec::new();
    let mut seen = Vec::new();
    for folder in named_folders(variables) {
        // The same folder can be several of those that are looked in.
        let Ok(real) = folder.canonicalize() else {
            continue;
        };
        if seen.contains(&real) {
            continue;
        }
        seen.push(real);
        for (file_name, _) in crate::host::tree::entries(&folder).unwrap_or_default() {
            // What ends in `.toml` again is taken for a path.
            let name = file_name.to_str().and_then(|n| n.strip_suffix(".toml"));
            if let Some(name) = name.filter(|n| !n.is_empty() && !n.ends_with(".toml")) {
                let path = folder.join(&file_name);
                all.push(Nameable {
                    name: name.into(),
                    source: text::read(&path, &shown(&path)),
                    path: Some(path.strip_prefix(".").unwrap_or(&path).to_owned()),
                });
            }
        }
    }
    all.extend(BUILT_IN.iter().map(|(name, text)| Nameable {
        name: (*name).into(),
        path: None,
        source: Ok(built_in_source(name, text)),
    }));
    // Stable: the order of the look-up stays.
    all.sort_by(|a, b| a.name.cmp(&b.name));
    all
}

/// A profile that is part of the program.
#[must_use]
pub fn built_in(name: &str) -> Option<Source> {
    let (name, text) = BUILT_IN.iter().find(|(known, _)| *known == name)?;
    Some(built_in_source(name, text))
}

fn built_in_source(name: &str, text: &str) -> Source {
    Source::new(format!("built-in:{name}.toml"), text)
}

/// The profile of a run without `--profile`: the nearest `sandbox.toml` upwards from the working
/// directory within the project, else the built-in default.
pub fn implied(variables: &Variables) -> Result<Source, FindError> {
    if let (Some(from), Some(project)) = (&variables.working_directory, &variables.project) {
        for folder in from.ancestors().take_while(|a| a.starts_with(project)) {
            let path = folder.join("sandbox.toml");
            // Not passed over where it cannot be told: the default may permit more.
            if is_there(&path).map_err(|cause| unread(&path, cause))? {
                return Ok(text::read(&path, &shown(&path))?);
            }
        }
    }
    Ok(default())
}

/// The built-in default.
#[must_use]
pub fn default() -> Source {
    let (name, text) = BUILT_IN[0];
    built_in_source(name, text)
}

/// Where a name is looked up, in this order, whoever asks.
fn folders(variables: &Variables) -> Vec<PathBuf> {
    let mut folders = Vec::new();
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

/// Whether there is something at a path.
fn is_there(path: &Path) -> io::Result<bool> {
    match path.symlink_metadata() {
        Ok(_) => Ok(true),
        Err(why) if matches!(why.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            Ok(false)
        }
        Err(why) => Err(why),
    }
}

/// The same, where folders that the caller may not enter do not matter.
fn within_reach(path: &Path) -> io::Result<bool> {
    match is_there(path) {
        Err(why) if why.kind() == ErrorKind::PermissionDenied => Ok(false),
        is_there => is_there,
    }
}

fn unread(path: &Path, cause: io::Error) -> ReadError {
    let path = shown(path);
    ReadError::Io { path, cause }
}

fn shown(path: &Path) -> String {
    path.strip_prefix(".").unwrap_or(path).display().to_string()
}

/// The project's folder: the nearest one upwards that holds `.git`, `.sandbox` or `sandbox.toml`,
/// else the working directory itself. Never the root, the home directory or a folder above it,
/// nor a folder of the system: a grant of those would be a grant of everything.
///
/// # Errors
/// It cannot be told whether a folder is one; the next one upwards would be a grant of more.
pub fn project(working_directory: &Path, home: Option<&Path>) -> io::Result<Option<PathBuf>> {
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
    for folder in working_directory.ancestors().take_while(|a| !too_much(a)) {
        for mark in [".git", ".sandbox", "sandbox.toml"] {
            if within_reach(&folder.join(mark))? {
                return Ok(Some(folder.to_owned()));
            }
        }
    }
    Ok((!too_much(working_directory)).then(|| working_directory.to_owned()))
}
