//! `stdin`, `stdout`, `stderr`: what the standard streams of the command are.
//!
//! Files are opened by the supervisor, once and with the caller's rights, and through no symbolic link. What the
//! command has of a file for output is what `output_files` says, whoever has opened it: the caller or the profile.

use super::{OutputFiles, Process, RawProcess};
use crate::diag::{At, Code, Diagnostic, Diagnostics};
use crate::plan::op::{Op, Stream as Number};
use crate::plan::{Draft, Phase};
use crate::profile::node::{Content, Node};
use crate::profile::shape::{Kind, Word};
use crate::profile::table::{Value, read_string, wrong};
use crate::profile::variables::Variables;
use crate::review::{Area, Grant};
use crate::sections::host_path;
use std::path::{Path, PathBuf};

/// What a standard stream is, as it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stream {
    /// The caller's.
    Inherit,
    /// Nothing: /dev/null.
    Null,
    /// A file of the host.
    File(String),
    /// A file of the host that is written to at its end.
    Append(String),
}

/// The word that stands before the path of a file that is written to at its end, with a colon.
const APPEND: &str = "append";

impl Value for Stream {
    const KIND: Kind = Kind::Either(&[
        Kind::Choice(&[
            Word {
                word: "inherit",
                doc: &["The caller's."],
            },
            Word {
                word: "null",
                doc: &["Nothing is read, and what is written is lost (/dev/null)."],
            },
        ]),
        Kind::Text {
            what: "the path of a file",
            form: "/",
        },
    ]);

    fn read(node: Node, problems: &mut Diagnostics) -> Option<Self> {
        let origin = node.origin.clone();
        if !matches!(node.value, Content::String(_)) {
            let help = "\"inherit\", \"null\", or a path: \"./build.log\"";
            wrong(&origin, "no stream".into(), help, problems);
            return None;
        }
        let text = read_string(node, problems)?;
        match text.as_str() {
            "inherit" => Some(Self::Inherit),
            "null" => Some(Self::Null),
            path if path.contains('/') => match path.split_once(':') {
                Some((APPEND, rest)) => Some(Self::Append(rest.to_owned())),
                // What another system's word for a way to open it stands before must not become a folder's name.
                Some((word, rest))
                    if !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase()) =>
                {
                    let message = format!("`{word}:` is no way to open a file");
                    let help = format!(
                        "a path alone is emptied (\"{rest}\"), and \"{APPEND}:{rest}\" is written to at its end; what is called so is \"./{path}\""
                    );
                    wrong(&origin, message, &help, problems);
                    None
                }
                _ => Some(Self::File(text)),
            },
            // A word that is misspelt must not become a file.
            word => {
                let message = format!("`{word}` is neither a word for a stream nor a path");
                let help = format!("\"inherit\", \"null\", or a path: \"./{word}\"");
                wrong(&origin, message, &help, problems);
                None
            }
        }
    }
}

/// The same, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::sections) enum Source {
    Inherit,
    Null,
    /// What is written to is emptied first.
    File(PathBuf),
    /// What is written to is written to at its end.
    Append(PathBuf),
}

impl Source {
    /// The file of the host.
    fn path(&self) -> Option<&PathBuf> {
        match self {
            Self::Inherit | Self::Null => None,
            Self::File(path) | Self::Append(path) => Some(path),
        }
    }
}

const NAMES: [&str; 3] = ["stdin", "stdout", "stderr"];

pub(super) fn check(
    raw: &RawProcess,
    variables: &Variables,
    problems: &mut Diagnostics,
) -> [At<Source>; 3] {
    let checked = [&raw.stdin, &raw.stdout, &raw.stderr].map(|stream| {
        let (path, source): (_, fn(PathBuf) -> Source) = match &stream.value {
            Stream::Inherit => return At::new(Source::Inherit, stream.origin.clone()),
            Stream::Null => return At::new(Source::Null, stream.origin.clone()),
            Stream::File(path) => (path, Source::File),
            Stream::Append(path) => (path, Source::Append),
        };
        // `./log` is relative to the project, as `log` would be.
        let plain = path.strip_prefix("./").unwrap_or(path).to_owned();
        let text = At::new(plain, stream.origin.clone());
        let source = host_path(&text, variables, problems).map_or(Source::Null, source);
        At::new(source, stream.origin.clone())
    });
    let [input, outputs @ ..] = &checked;
    if let Source::Append(read) = &input.value {
        let message = "nothing is appended to what is read";
        problems.push(
            Diagnostic::new(Code::WrongValue, &input.origin, message)
                .help(format!("write the path alone: \"{}\"", read.display())),
        );
    }
    if let [one, other] = outputs
        && one.value != other.value
        && let Some(path) = one.value.path()
        && other.value.path() == Some(path)
    {
        let message = format!("{} is emptied, and written to at its end", path.display());
        problems.push(
            Diagnostic::new(Code::Conflict, &other.origin, message)
                .and(&one.origin, "the same file, opened in another way")
                .help("one file for both is opened once: write both lines alike"),
        );
    }
    if let Source::File(read) = &input.value
        && let Some(written) = outputs
            .iter()
            .find(|output| output.value.path() == Some(read))
    {
        let message = match written.value {
            Source::Append(_) => format!("{} grows while it is read", read.display()),
            _ => format!("{} is emptied before it is read", read.display()),
        };
        problems.push(
            Diagnostic::new(Code::Conflict, &input.origin, message)
                .and(&written.origin, "written to here")
                .help("name two files"),
        );
    }
    checked
}

impl Process {
    /// What a standard stream is.
    pub(in crate::sections) fn stream(&self, number: Number) -> &Source {
        let at = usize::try_from(number).unwrap_or_default();
        self.streams
            .get(at)
            .map_or(&Source::Inherit, |at| &at.value)
    }

    /// The file that a stream for output is, and which the command shall not have itself.
    pub(in crate::sections) fn relayed_file(&self, number: Number) -> Option<&Path> {
        match self.stream(number) {
            Source::File(path) | Source::Append(path)
                if self.output_files.value == OutputFiles::Relay =>
            {
                Some(path)
            }
            _ => None,
        }
    }

    /// Opens what is not the caller's. What the output is relayed to, the supervisor keeps.
    pub(super) fn open_streams(&self, relays_all: bool, draft: &mut Draft<'_>) {
        let mut done = Vec::new();
        for (number, At { value, origin }) in (0..).zip(&self.streams) {
            if *value == Source::Inherit || done.contains(&number) {
                continue;
            }
            let mut streams = vec![number];
            let [_, _, stderr] = &self.streams;
            // One file for both is opened once, so that neither writes over the other.
            if number == 1 && stderr.value == *value {
                streams.push(2);
            }
            done.extend(&streams);
            let relayed = number != 0 && (relays_all || self.relayed_file(number).is_some());
            let path = value.path().cloned();
            let slot = (!relayed).then(|| draft.slot());
            let op = Op::OpenStream {
                streams: streams.clone(),
                path: path.unwrap_or_else(|| "/dev/null".into()),
                append: matches!(value, Source::Append(_)),
                slot,
            };
            draft.step(Phase::Output, op, origin);
            if let Some(slot) = slot {
                draft.step(Phase::OwnStreams, Op::TakeStream { slot, streams }, origin);
            }
        }
    }

    /// A file that is read, and files that are written to, emptied or at their end, with the caller's rights.
    pub(super) fn stream_grants(&self) -> impl Iterator<Item = Grant> {
        let streams = (0..).zip(NAMES).zip(&self.streams);
        streams.map(|((number, name), At { value, origin })| {
            let whose = if number == 0 { "read" } else { "write to" };
            let key = format!("process:{name}");
            let area = Area::Process;
            match value {
                Source::Null => Grant::rank(
                    area,
                    key,
                    0,
                    format!("not {whose} the caller's {name}"),
                    origin,
                ),
                Source::Inherit => {
                    Grant::rank(area, key, 1, format!("{whose} the caller's {name}"), origin)
                }
                Source::File(path) | Source::Append(path) => {
                    let path = path.display();
                    let (rank, words) = match (number, value) {
                        (0, _) => (1, format!("read {path} as its {name}")),
                        (_, Source::Append(_)) => {
                            (1, format!("have its {name} written to the end of {path}"))
                        }
                        _ => (
                            2,
                            format!("have {path} emptied and written to by its {name}"),
                        ),
                    };
                    let key = format!("{key}:{path}");
                    Grant::rank(Area::Filesystem, key, rank, words, origin).share(100)
                }
            }
        })
    }
}
