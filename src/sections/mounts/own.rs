//! What a mount has of its own: the owner of what the sandbox makes, the times of reading, links.

use super::{Kind, Mount, RawMount};
use crate::diag::{At, Code, Diagnostic, Diagnostics, Origin};
use crate::plan::Draft;
use crate::plan::layout::{Idmap, What};
use crate::plan::op::{Dress, Ids};
use crate::profile::node::{Content, Node};
use crate::profile::shape::Kind as Shape;
use crate::profile::table::Value;
use crate::profile::value::Mode;
use crate::sections::Profile;
use crate::sections::user::Identity;
use crate::sys::mount::Attributes;
use std::path::Path;

crate::table! {
    /// Whose something is that the sandbox makes, by ids inside.
    pub struct RawOwner as "an owner" {
        /// The user id inside. Default: the command's.
        uid: u32,
        /// The group id inside. Default: the command's.
        gid: u32,
    }
}

crate::choice! {
    /// Who is meant without a number.
    pub enum Whose {
        /// The command, as it is inside.
        Command = "command",
    }
}

/// The word, or ids inside.
#[derive(Clone, Debug)]
pub enum RawWhose {
    /// `"command"`.
    Word(Whose),
    /// `{ uid, gid }`.
    Ids(RawOwner),
}

impl Value for RawWhose {
    const KIND: Shape = Shape::Either(&[Whose::KIND, RawOwner::KIND]);

    fn read(node: Node, problems: &mut Diagnostics) -> Option<Self> {
        match node.value {
            Content::Table(_) => RawOwner::read(node, problems).map(Self::Ids),
            _ => Whose::read(node, problems).map(Self::Word),
        }
    }
}

crate::choice! {
    /// When the time of the last reading is noted (mount(8)).
    pub enum Atime {
        /// Where it would be older than the last change, or a day old.
        Relatime = "relatime",
        /// Never.
        Noatime = "noatime",
        /// Always.
        Strictatime = "strictatime",
    }
}

/// Whose something is; where an id is not given, it is the command's.
#[derive(Clone, Debug, Default)]
pub(in crate::sections) struct Owner {
    uid: Option<At<u32>>,
    gid: Option<At<u32>>,
    /// The line that says so.
    place: Option<Origin>,
}

impl Owner {
    /// The same where it may be said in a word.
    pub(super) fn of(raw: Option<At<RawWhose>>, problems: &mut Diagnostics) -> Option<Self> {
        let At { value, origin } = raw?;
        match value {
            RawWhose::Ids(ids) => Self::check(Some(At::new(ids, origin)), problems),
            RawWhose::Word(Whose::Command) => Some(Self {
                place: Some(origin),
                ..Self::default()
            }),
        }
    }

    pub(in crate::sections) fn check(
        raw: Option<At<RawOwner>>,
        problems: &mut Diagnostics,
    ) -> Option<Self> {
        let At { value: raw, origin } = raw?;
        if raw.uid.is_none() && raw.gid.is_none() {
            problems.push(
                Diagnostic::new(
                    Code::MissingKey,
                    &origin,
                    "an owner without a user or a group",
                )
                .help("for example: owner = { uid = 33, gid = 33 }"),
            );
        }
        let RawOwner { uid, gid } = raw;
        Some(Self {
            uid,
            gid,
            place: Some(origin),
        })
    }

    fn ids(&self) -> impl Iterator<Item = (Ids, &At<u32>)> {
        let uid = self.uid.iter().map(|id| (Ids::User, id));
        uid.chain(self.gid.iter().map(|id| (Ids::Group, id)))
    }

    /// Each id has to be in the maps.
    pub(in crate::sections) fn relate(&self, profile: &Profile, problems: &mut Diagnostics) {
        for (ids, id) in self.ids() {
            profile.user.knows(ids, id, problems);
        }
    }

    /// The line that says so.
    pub(in crate::sections) fn place(&self) -> Option<&Origin> {
        self.place.as_ref()
    }

    /// The numbers, as they are on this machine.
    pub(in crate::sections) fn numbers(
        &self,
        profile: &Profile,
        identity: &Identity,
        draft: &mut Draft<'_>,
    ) -> (u32, u32) {
        for (ids, id) in self.ids() {
            profile.user.holds(ids, id, identity, draft);
        }
        let or = |id: &Option<At<u32>>, own| id.as_ref().map_or(own, |id| id.value);
        (or(&self.uid, identity.uid), or(&self.gid, identity.gid))
    }
}

/// The attributes that are said of the times of reading and of links.
pub(super) fn attributes(raw: &RawMount) -> Attributes {
    let links = raw.nosymfollow.as_ref().is_some_and(|at| at.value);
    Attributes::NONE
        .with_if(links, Attributes::NOSYMFOLLOW)
        .with(match raw.atime.as_ref().map(|at| at.value) {
            None => Attributes::NONE,
            Some(Atime::Relatime) => Attributes::RELATIME,
            Some(Atime::Noatime) => Attributes::NOATIME,
            Some(Atime::Strictatime) => Attributes::STRICTATIME,
        })
}

impl Mount {
    /// The mode and the owner of what the sandbox makes.
    pub(super) fn dress(
        &self,
        default: u32,
        profile: &Profile,
        identity: &Identity,
        draft: &mut Draft<'_>,
    ) -> Dress {
        let owner = self.owner.as_ref();
        Dress {
            mode: self.mode.unwrap_or(Mode(default)).0,
            owner: owner.map(|owner| owner.numbers(profile, identity, draft)),
        }
    }
}

/// A tmpfs with the owner of its root.
pub(super) fn owned(what: What, dress: Dress) -> What {
    match (what, dress.owner) {
        (
            What::Filesystem {
                kind,
                mut options,
                sealed,
            },
            Some((uid, gid)),
        ) => {
            let option = |key: &str, id: u32| (key.to_owned(), Some(id.to_string()));
            options.extend([option("uid", uid), option("gid", gid)]);
            What::Filesystem {
                kind,
                options,
                sealed,
            }
        }
        (what, _) => what,
    }
}

/// Whether the times of reading of a bind can be what they shall be: in a new user namespace the kernel locks
/// them (mount_namespaces(7)). If not, the refusal is in the draft.
pub(super) fn can_be_had(
    source: &Path,
    mount: &Mount,
    idmap: Option<&Idmap>,
    profile: &Profile,
    draft: &mut Draft<'_>,
) -> bool {
    let Some(wanted) = mount.attributes.atime_word() else {
        return true;
    };
    // What the supervisor maps is not locked, and an overlay is a new mount.
    if !profile.namespaces.user.value.is_new() || idmap.is_some() || mount.aside.is_some() {
        return true;
    }
    let Some(real) = draft.host.tree.resolve(source) else {
        return true;
    };
    let there = draft.host.mounts().atime(&real);
    if there == wanted {
        return true;
    }
    let place: &Origin = mount.atime.as_ref().unwrap_or(&mount.target.origin);
    let text = format!(
        "{} is on a mount with {there}, which is locked in a new user namespace",
        source.display()
    );
    let help = "remount it on the host, remove the line, or run as root, where owners are mapped";
    draft.refuse(place, text, help);
    false
}

/// What takes a mount of the sandbox's own, or of the kernel's, that can be written to.
pub(super) fn is_writable(kind: Kind, attributes: Attributes) -> bool {
    let own = matches!(kind, Kind::Proc | Kind::Sysfs | Kind::File);
    own && !attributes.contains(Attributes::READ_ONLY)
}
