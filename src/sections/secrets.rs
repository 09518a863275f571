//! `[[secrets]]`: what only a file inside holds: no variable, no argument, no record, no plan.
//!
//! A plan says where a secret comes from and never what it is. The supervisor takes it when the run begins, hands
//! it to init by a descriptor, and init writes it into a file in memory that goes with the run.

use super::mounts::{Owner, RawOwner};
use super::user::Identity;
use super::{Profile, absolute, environment, host_path};
use crate::diag::{At, Code, Diagnostic, Diagnostics};
use crate::host::tree::Kind;
use crate::plan::Draft;
use crate::plan::layout::{Entry, What};
use crate::plan::op::{Dress, SecretSource};
use crate::profile::table::List;
use crate::profile::value::Mode;
use crate::profile::variables::Variables;
use crate::review::Grant;
use crate::review::tree::Access;
use crate::review::view::{HostFiles, Shown, View};
use crate::sys::mount::Attributes;
use std::path::{Path, PathBuf};

crate::table! {
    /// What the command needs to know and nobody else: a password, a token, a key. Each is a file inside, in memory,
    /// that the command may read.
    ///
    /// ```toml
    /// [[secrets]]
    /// name = "token"
    /// env = "DEPLOY_TOKEN"
    ///
    /// [[secrets]]
    /// name = "tls.key"
    /// file = "${HOME}/keys/server.key"
    /// ```
    pub struct RawSecret as "[[secrets]]" {
        /// What it is called: the name of its file.
        name: String; required "token",
        /// The path on the host of the file that holds it, at most 1M of it.
        file: String,
        /// The variable of the caller's environment that holds it. The command does not get that variable.
        env: String,
        /// Where its file is, an absolute path inside. Default: its name, in /run/secrets.
        target: String,
        /// The mode of its file. Default: 400.
        mode: Mode,
        /// Whose its file is, by ids inside. Default: the command's.
        owner: RawOwner,
        /// Whether to leave it out where its source is missing.
        optional: bool = false,
    }
}

/// The folder of secrets.
const FOLDER: &str = "/run/secrets";

/// The secrets of a profile.
#[derive(Clone, Debug, Default)]
pub struct Secrets(Vec<At<Secret>>);

#[derive(Clone, Debug)]
struct Secret {
    name: String,
    source: At<Source>,
    target: PathBuf,
    mode: u32,
    owner: Option<Owner>,
    optional: bool,
}

#[derive(Clone, Debug)]
enum Source {
    File(PathBuf),
    Variable(String),
}

impl Secrets {
    /// Checks every secret.
    pub fn check(
        raw: Option<At<List<RawSecret>>>,
        variables: &Variables,
        problems: &mut Diagnostics,
    ) -> Self {
        let list = raw.map(|list| list.value.0).unwrap_or_default();
        let mut secrets: Vec<At<Secret>> = Vec::new();
        for raw in list {
            let Some(secret) = check_one(raw, variables, problems) else {
                continue;
            };
            let same = |known: &&At<Secret>| known.value.name == secret.value.name;
            if let Some(first) = secrets.iter().find(same) {
                problems.push(
                    Diagnostic::new(
                        Code::DuplicateTarget,
                        &secret.origin,
                        format!("a second secret `{}`", secret.value.name),
                    )
                    .and(&first.origin, "the first one")
                    .help("give one of them another name"),
                );
            }
            secrets.push(secret);
        }
        Self(secrets)
    }

    /// What holds a secret is not told to the command in another way; and there has to be a place for it.
    pub fn relate(&self, profile: &Profile, problems: &mut Diagnostics) {
        for At { value, origin } in &self.0 {
            if !profile.namespaces.builds_root() {
                problems.push(
                    Diagnostic::new(
                        Code::Needs,
                        origin,
                        "a secret is a file of the sandbox's own",
                    )
                    .and(
                        &profile.namespaces.mount.origin,
                        "the mounts are not the sandbox's own here",
                    )
                    .help("write `mount = \"new\"` under [namespaces], or remove the secret"),
                );
            }
            if let Some(owner) = &value.owner {
                owner.relate(profile, problems);
            }
            if let Source::Variable(name) = &value.source.value
                && let Some(place) = profile.environment.tells(name)
            {
                problems.push(
                    Diagnostic::new(
                        Code::Conflict,
                        &value.source.origin,
                        format!("the command is told the variable {name}, and with it the secret"),
                    )
                    .and(place, "told here")
                    .help(format!(
                        "write `unset = [\"{name}\"]` under [environment], or remove the secret"
                    )),
                );
            }
        }
    }

    /// Shows the files of the host that are read.
    pub fn show(&self, view: &mut View) {
        let Self(secrets) = self;
        for At { value, origin } in secrets {
            let host = match &value.source.value {
                Source::File(path) => Some(HostFiles {
                    source: path.clone(),
                    access: Access::READ,
                    program: None,
                    pattern: None,
                    of_root: false,
                }),
                Source::Variable(_) => None,
            };
            view.show(Shown {
                host,
                ..Shown::own(&value.target, origin.clone())
            });
        }
    }

    /// Which variables of the caller it may know.
    #[must_use]
    pub fn grants(&self) -> Vec<Grant> {
        let variable = |secret: &At<Secret>| match &secret.value.source.value {
            Source::Variable(name) => Some(environment::told(
                name,
                Vec::new(),
                &secret.value.source.origin,
            )),
            Source::File(_) => None,
        };
        self.0.iter().filter_map(variable).collect()
    }

    /// Adds their files.
    pub fn entries(&self, profile: &Profile, identity: &Identity, draft: &mut Draft<'_>) {
        for At { value, origin } in &self.0 {
            let place = &value.source.origin;
            let missing = match &value.source.value {
                Source::File(path) => match draft.host.tree.target(path).kind {
                    Kind::File => None,
                    Kind::Directory => {
                        let text = format!("{} is a directory, and no secret", path.display());
                        let help = "name a file, or bind the directory with [[mounts]]";
                        draft.problem(Diagnostic::new(Code::NotHere, place, text).help(help));
                        continue;
                    }
                    _ => Some(format!("the file {} is not there", path.display())),
                },
                Source::Variable(name) => {
                    let known = profile.variables.environment.contains_key(name);
                    (!known).then(|| format!("the caller's environment has no variable {name}"))
                }
            };
            match missing {
                Some(text) if value.optional => {
                    draft.note(origin, format!("{text}: no secret `{}`", value.name));
                    continue;
                }
                Some(text) => {
                    let help = "provide it, correct the name, or write `optional = true`";
                    draft.problem(Diagnostic::new(Code::NotFound, place, text).help(help));
                    continue;
                }
                None => {}
            }
            if let Source::Variable(name) = &value.source.value {
                let secret = profile.variables.environment.get(name);
                let mut told = profile.environment.variables(profile).into_iter();
                let told = told.find(|(_, value)| !value.is_empty() && Some(value) == secret);
                if let Some((other, _)) = told {
                    let text = format!("the secret is told to the command in its variable {other}");
                    let help = "take it out of [environment], and let the command read the file";
                    draft.problem(Diagnostic::new(Code::Conflict, place, text).help(help));
                    continue;
                }
            }
            let owner = value.owner.as_ref();
            let dress = Dress {
                mode: value.mode,
                owner: owner.map(|owner| owner.numbers(profile, identity, draft)),
            };
            let source = match &value.source.value {
                Source::File(path) => SecretSource::File(path.clone()),
                Source::Variable(name) => SecretSource::Variable(name.clone()),
            };
            draft.entries.push(Entry {
                target: value.target.clone(),
                what: What::Secret(source, dress),
                attributes: Attributes::INERT.with(Attributes::READ_ONLY),
                optional: false,
                origin: origin.clone(),
            });
        }
    }
}

fn check_one(
    raw: At<RawSecret>,
    variables: &Variables,
    problems: &mut Diagnostics,
) -> Option<At<Secret>> {
    let At { value: raw, origin } = raw;
    let name = raw.name?;
    let plain = !matches!(name.value.as_str(), "" | "." | "..")
        && name.value.len() <= 255
        && !name.value.contains(|c: char| c == '/' || c.is_control());
    if !plain {
        problems.push(
            Diagnostic::new(
                Code::WrongValue,
                &name.origin,
                format!("`{}` cannot be the name of a file", name.value),
            )
            .help("for example: name = \"token\""),
        );
    }
    let source = match (raw.file, raw.env) {
        (Some(file), Some(variable)) => {
            problems.push(
                Diagnostic::new(
                    Code::Conflict,
                    &variable.origin,
                    "a second source of the secret",
                )
                .and(&file.origin, "the first one")
                .help("keep one of `file` and `env`"),
            );
            return None;
        }
        (Some(file), None) => {
            let path = host_path(&file, variables, problems)?;
            At::new(Source::File(path), file.origin)
        }
        (None, Some(variable)) => {
            if variable.value.is_empty() || variable.value.contains(['=', '\0']) {
                problems.push(
                    Diagnostic::new(
                        Code::WrongValue,
                        &variable.origin,
                        format!("`{}` is no name of a variable", variable.value),
                    )
                    .help("for example: env = \"DEPLOY_TOKEN\""),
                );
                return None;
            }
            variable.map(Source::Variable)
        }
        (None, None) => {
            problems.push(
                Diagnostic::new(
                    Code::MissingKey,
                    &origin,
                    "a secret that comes from nowhere",
                )
                .help("for example: env = \"DEPLOY_TOKEN\", or file = \"${HOME}/keys/server.key\""),
            );
            return None;
        }
    };
    let target = match &raw.target {
        Some(target) => absolute(target, "target", problems)?,
        None => Path::new(FOLDER).join(&name.value),
    };
    let owner = Owner::check(raw.owner, problems);
    plain.then(|| {
        let secret = Secret {
            name: name.value,
            source,
            target,
            mode: raw.mode.map_or(0o400, |mode| mode.value.0),
            owner,
            optional: raw.optional.value,
        };
        At::new(secret, origin)
    })
}
