//! `sandbox check`: everything that is wrong with profiles, in one run.

use super::arguments::Check;
use super::{Refused, Session};
use crate::exit;

pub(super) fn run(arguments: &Check, session: &mut Session) -> Result<u8, Refused> {
    let mut code = 0;
    for name in &arguments.profiles {
        if let Err(refused) = session.profile(Some(name), &arguments.settings.0) {
            session.print(refused.problems);
            code = exit::SET_UP_FAILED;
        }
    }
    Ok(code)
}
