//! Ids as they are written: numbers, or the names of accounts.

use super::User;
use super::map::{Map, Range, check_ranges};
use crate::diag::{At, Code, Diagnostic, Diagnostics, Origin};
use crate::host::accounts::Accounts;
use crate::plan::Draft;
use crate::plan::op::Ids;
use crate::profile::node::{Content, Node};
use crate::profile::shape::{Kind, Word};
use crate::profile::table::{Value, read_integer, read_list_or, read_string, wrong};
use crate::sections::{Profile, rootfs::Source};
use std::fmt;
use std::path::Path;

/// An id: a number, or the name of an account that has one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Id {
    /// The number.
    Number(u32),
    /// The name of a user or a group.
    Name(String),
}

impl Id {
    /// The number, as far as it is known without a machine.
    #[must_use]
    pub fn number(&self) -> Option<u32> {
        match self {
            Self::Number(number) => Some(*number),
            // The one account that is the same everywhere.
            Self::Name(name) => (name == "root").then_some(0),
        }
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Name(name) => name.fmt(f),
        }
    }
}

impl Value for Id {
    const KIND: Kind = Kind::Either(&[
        u32::KIND,
        Kind::Text {
            what: "the name of an account",
            form: "^[^:\\s]+$",
        },
    ]);

    fn read(node: Node, problems: &mut Diagnostics) -> Option<Self> {
        if !matches!(node.value, Content::String(_)) {
            let most = i64::from(u32::MAX);
            let number = read_integer(node, problems, 0, most)?;
            return number.try_into().ok().map(Self::Number);
        }
        let origin = node.origin.clone();
        let text = read_string(node, problems)?;
        // A variable such as ${UID} is text.
        if let Ok(number) = text.parse() {
            return Some(Self::Number(number));
        }
        if text.is_empty() || text.contains(|c: char| c == ':' || c.is_whitespace()) {
            let message = format!("`{text}` is no name that an account could have");
            wrong(
                &origin,
                message,
                "for example: \"www-data\", or 33",
                problems,
            );
            return None;
        }
        Some(Self::Name(text))
    }
}

/// Supplementary groups: which, or those of the account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Groups {
    /// These.
    Ids(Vec<At<Id>>),
    /// Those that name the user as a member.
    Account,
}

impl Value for Groups {
    const KIND: Kind = Kind::Either(&[
        Kind::Choice(&[Word {
            word: "account",
            doc: &["Every group that names the user as a member."],
        }]),
        Kind::List(&Id::KIND),
    ]);

    fn read(node: Node, problems: &mut Diagnostics) -> Option<Self> {
        let help = "for example: groups = [\"audio\", 44], or groups = \"account\"";
        let list = read_list_or(node, "account", ("groups", help), problems)?;
        Some(list.map_or(Self::Account, |list| Self::Ids(list.0)))
    }
}

/// Where names are looked up, and for what.
struct Lookup<'a> {
    accounts: &'a Accounts,
    root: &'a Path,
    problems: Diagnostics,
}

impl Lookup<'_> {
    /// The number of an id; a problem where there is no account of that name.
    fn number(&mut self, id: &At<Id>, ids: Ids) -> Option<At<Id>> {
        let Id::Name(name) = &id.value else {
            return Some(id.clone());
        };
        let (found, what, file) = match ids {
            Ids::User => {
                let user = self.accounts.user(name);
                (user.map(|(uid, _)| uid), "user", "etc/passwd")
            }
            Ids::Group => (self.accounts.group(name), "group", "etc/group"),
        };
        let Some(number) = found else {
            let file = self.root.join(file);
            let message = format!("there is no {what} `{name}` in {}", file.display());
            self.problems.push(
                Diagnostic::new(Code::NoAccount, &id.origin, message)
                    .help(format!("add it, correct the name, or write the number of the {what}; other sources of accounts (LDAP, systemd-homed) are not asked")),
            );
            return None;
        };
        Some(At::new(Id::Number(number), id.origin.clone()))
    }

    /// The groups that name a user as a member, at the line that asks for them.
    fn groups_of(&mut self, user: Option<&At<Id>>, line: &Origin) -> Vec<At<Id>> {
        let name = match user.map(|user| &user.value) {
            Some(Id::Name(name)) => Some(name.as_str()),
            Some(Id::Number(uid)) => self.accounts.name(*uid),
            None => None,
        };
        let Some(name) = name else {
            let message = match user {
                Some(user) => format!(
                    "no user in {} has the id {}",
                    self.root.join("etc/passwd").display(),
                    user.value
                ),
                None => "the groups of an account, and no account is named".to_owned(),
            };
            let help = "write `uid` too, as the name of a user, or name the groups";
            let problem = Diagnostic::new(Code::NoAccount, line, message);
            self.problems.push(problem.help(help));
            return Vec::new();
        };
        let groups = self.accounts.groups_of(name).into_iter();
        groups
            .map(|gid| At::new(Id::Number(gid), line.clone()))
            .collect()
    }

    fn map(&mut self, map: &At<Map>, ids: Ids) -> At<Map> {
        let Map::Ranges(ranges) = &map.value else {
            return map.clone();
        };
        let numbered = ranges.iter().filter_map(|range| {
            let outside = At::new(range.value.outside.clone(), range.origin.clone());
            let outside = self.number(&outside, ids)?.value;
            let range_of = |inside, count| Range {
                inside,
                outside,
                count,
            };
            let Range { inside, count, .. } = range.value;
            Some(At::new(range_of(inside, count), range.origin.clone()))
        });
        let numbered: Vec<_> = numbered.collect();
        // Two names may be one id, and a name may lie in the range of a number.
        if self.problems.is_empty() {
            check_ranges(&numbered, &map.origin, &mut self.problems);
        }
        At::new(Map::Ranges(numbered), map.origin.clone())
    }
}

impl User {
    /// Whether a name is written anywhere.
    fn has_names(&self) -> bool {
        let is_name = |id: &Id| matches!(id, Id::Name(_));
        let ids = self.uid.iter().chain(&self.gid).chain(&self.groups);
        let outside = self.maps().into_iter().flat_map(|map| match &map.value {
            Map::Ranges(ranges) => &ranges[..],
            _ => &[],
        });
        ids.map(|id| &id.value).any(is_name) || outside.map(|r| &r.value.outside).any(is_name)
    }

    /// The same with numbers for names: those inside from the accounts of a root that is a
    /// directory, else of the host; those outside always of the host. A user that is named brings
    /// its group, where nothing else says which.
    #[must_use]
    pub fn on_this_machine(&self, profile: &Profile, draft: &mut Draft<'_>) -> Self {
        if !self.has_names() && self.of_account.is_none() {
            return self.clone();
        }
        let outside = draft.host.accounts();
        let own;
        let (accounts, root) = match &profile.rootfs.source.value {
            Source::Directory(path) if profile.namespaces.builds_root() => {
                own = Accounts::of(path, &draft.host.tree.doubt);
                (&own, path.as_path())
            }
            _ => (outside, Path::new("/")),
        };
        let problems = Diagnostics::default();
        let mut inside = Lookup {
            accounts,
            root,
            problems,
        };
        let gid = match (&self.gid, self.uid.as_ref()) {
            (
                None,
                Some(At {
                    value: Id::Name(name),
                    origin,
                }),
            ) if self.gid_map.value == Map::Own => {
                let own = accounts.user(name).map(|(_, gid)| Id::Number(gid));
                own.map(|gid| At::new(gid, origin.clone()))
            }
            (gid, _) => gid.as_ref().and_then(|id| inside.number(id, Ids::Group)),
        };
        let uid = self.uid.as_ref();
        let uid = uid.and_then(|id| inside.number(id, Ids::User));
        let groups = match &self.of_account {
            Some(line) => inside.groups_of(self.uid.as_ref(), line),
            None => {
                let groups = self.groups.iter();
                groups
                    .filter_map(|id| inside.number(id, Ids::Group))
                    .collect()
            }
        };
        let mut outside = Lookup {
            accounts: outside,
            root: Path::new("/"),
            problems: inside.problems,
        };
        let numbered = Self {
            uid,
            gid,
            groups,
            of_account: None,
            uid_map: outside.map(&self.uid_map, Ids::User),
            gid_map: outside.map(&self.gid_map, Ids::Group),
        };
        for problem in outside.problems.sorted() {
            draft.problem(problem);
        }
        numbered
    }
}

/// The numbers among ids, with their places.
pub(super) fn numbers<'i>(ids: impl IntoIterator<Item = &'i At<Id>>) -> Vec<At<u32>> {
    let number = |id: &At<Id>| Some(At::new(id.value.number()?, id.origin.clone()));
    ids.into_iter().filter_map(number).collect()
}

/// The same for one that may be missing.
pub(super) fn number(id: &Option<At<Id>>) -> Option<At<u32>> {
    numbers(id).into_iter().next()
}
