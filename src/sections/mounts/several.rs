//! A source that is a pattern: a bind for each path that it stands for.

use super::{Kind, Mount, Mounts, RawMount, create, show};
use crate::diag::{At, Code, Diagnostic, Diagnostics, Origin};
use crate::host::expand::{MOST, Unclear};
use crate::plan::Draft;
use crate::profile::pattern::{PathPattern, is_pattern};
use crate::profile::variables::Variables;
use crate::sections::Profile;
use crate::sections::user::Identity;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What a pattern stands for, and where it appears.
#[derive(Clone, Debug)]
pub(super) struct Several {
    pub(super) pattern: PathPattern,
    /// The folder inside; without one, each appears at its own path.
    into: Option<PathBuf>,
}

/// Whether a source is a pattern, and where the mount is: with neither a target nor a source that
/// could be the target there is none.
pub(super) fn check(
    raw: &RawMount,
    target: Option<At<PathBuf>>,
    source: &Option<At<PathBuf>>,
    variables: &Variables,
    problems: &mut Diagnostics,
) -> Option<(Option<Several>, At<PathBuf>)> {
    let binds = raw.r#type.as_ref().is_some_and(|at| at.value == Kind::Bind);
    let written = raw.source.as_ref().filter(|_| binds);
    let into_folder = |at: &At<String>| at.value.ends_with('/');
    let open = raw.target.as_ref().is_none_or(into_folder);
    let Some(written) = written.filter(|at| open && is_pattern(&at.value)) else {
        return Some((None, target.or_else(|| source.clone().filter(|_| binds))?));
    };
    let source = source.as_ref()?;
    let wrong = |message: String, help: &str| {
        Diagnostic::new(Code::BadPattern, &written.origin, message).help(help)
    };
    if let Some(create) = raw.create.as_ref().filter(|create| create.value) {
        problems.push(
            wrong(
                "a pattern stands for what is there: it cannot be made".into(),
                "remove one of the two",
            )
            .and(&create.origin, "made here"),
        );
    }
    let folder = variables.project.as_deref().unwrap_or(Path::new("/"));
    let pattern = match PathPattern::below(folder, &written.value) {
        Ok(pattern) => pattern,
        Err(why) => {
            problems.push(wrong(
                why,
                "write one component for each folder, for example: source = \"/nix/store/*-rust-*/lib\"",
            ));
            return None;
        }
    };
    let name = source.value.file_name().unwrap_or_default();
    let (into, at) = match target {
        Some(target) => (
            Some(target.value.clone()),
            At::new(target.value.join(name), target.origin),
        ),
        None => (None, source.clone()),
    };
    Some((Some(Several { pattern, into }), at))
}

/// Where what patterns stand for is not mounted: something that is named is there, or another
/// pattern has put the same there.
pub(super) struct Placed<'m>(BTreeMap<&'m Path, ()>, BTreeMap<PathBuf, PathBuf>);

impl<'m> Placed<'m> {
    pub(super) fn new(mounts: &'m Mounts) -> Self {
        let mounts = mounts.0.iter().map(|mount| &mount.value);
        let named = mounts.filter(|mount| mount.several.is_none());
        let named = named.map(|mount| (mount.target.value.as_path(), ()));
        Self(named.collect(), BTreeMap::new())
    }

    fn has(&mut self, target: &Path, source: &Path) -> bool {
        let named = self.0.contains_key(target);
        let same = self.1.get(target).is_some_and(|known| known == source);
        self.1.insert(target.into(), source.into());
        named || same
    }
}

impl Several {
    /// Adds a bind for each path.
    pub(super) fn entries(
        &self,
        mount: &Mount,
        placed: &mut Placed<'_>,
        profile: &Profile,
        identity: &Identity,
        origin: &Origin,
        draft: &mut Draft<'_>,
    ) {
        let place = &mount.shown().origin;
        let shown = mount.shown().value.display();
        let strict = self.is_writable(mount, profile, draft);
        let found = match draft.host.tree.expand(&self.pattern, !strict) {
            Ok(found) => found,
            Err(Unclear::TooMany) => {
                let text = format!("{shown} stands for more than {MOST} paths");
                return draft.refuse(place, text, "narrow the pattern, or bind the folder");
            }
            Err(Unclear::Unreadable) => {
                let text = format!("cannot list {}", self.pattern.base.display());
                let help = "the caller needs read permission for it";
                return draft.refuse(place, text, help);
            }
        };
        for link in &found.links {
            let text = format!(
                "{} is a symbolic link, which a command could have planted: not mounted",
                link.display()
            );
            draft.note(origin, text);
        }
        if found.paths.is_empty() && !mount.optional {
            let text = format!("nothing is there that {shown} stands for");
            let help = "correct the pattern, or set `optional = true`";
            draft.problem(Diagnostic::new(Code::NotFound, place, text).help(help));
        } else if found.paths.is_empty() {
            draft.note(
                origin,
                format!("nothing is there that {shown} stands for: not mounted"),
            );
        }
        let trusted = strict.then(|| self.pattern.base.clone());
        for path in found.paths {
            let target = match (&self.into, path.file_name()) {
                (Some(folder), Some(name)) => folder.join(name),
                _ => path.clone(),
            };
            if placed.has(&target, &path) {
                continue;
            }
            let one = Mount {
                target: At::new(target, mount.target.origin.clone()),
                several: None,
                ..mount.clone()
            };
            let trusted = trusted.clone();
            show(path, trusted, false, &one, profile, identity, origin, draft);
        }
    }

    /// Whether somebody could have planted a link among what the pattern stands for: the command,
    /// where the mount or a folder above is writable, or whoever else can write there.
    fn is_writable(&self, mount: &Mount, profile: &Profile, draft: &Draft<'_>) -> bool {
        let tree = &draft.host.tree;
        let above = || self.pattern.base.ancestors();
        !mount.is_read_only()
            || above().any(|path| create::is_writable(path, &tree.target(path), profile, draft))
    }
}
