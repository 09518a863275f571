//! The rules of `[devices]`, as far as they are the group's: whether they can be had.

use super::steps::lacking_of;
use crate::diag::Origin;
use crate::plan::Draft;
use crate::sections::{Profile, enforce::Level};

/// Where rules are asked for, if they are and this caller can have them; a refusal, or what is said of going without
/// them, comes from here.
pub(super) fn ruled<'p>(profile: &'p Profile, draft: &mut Draft<'_>) -> Option<&'p Origin> {
    let origin = profile.devices.ruled()?;
    let enforce = &profile.enforce.devices;
    if enforce.value == Level::Off {
        draft.note(&enforce.origin, "the rules about devices are off");
        return None;
    }
    if !draft.host.caller.is_over_the_machine() {
        let why = "only root of the machine can have rules about devices";
        let remedy =
            "run as root, or leave them out: no other node is in /dev, and none can be made";
        lacking(profile, draft, origin, why, remedy);
        return None;
    }
    Some(origin)
}

/// Refuses the run, or says that it goes without, as `[enforce]` has it.
pub(super) fn lacking(
    profile: &Profile,
    draft: &mut Draft<'_>,
    origin: &Origin,
    why: &str,
    remedy: &str,
) {
    let what = ["what may be done with devices".into(), "is".into()];
    let level = profile.enforce.devices.value;
    lacking_of("devices", draft, level, origin, what, why, remedy);
}
