//! `sandbox check`: everything that is wrong with profiles, in one run.

use super::arguments::Check;
use super::{Refused, Session};
use crate::exit;

pub(super) fn run(arguments: &Check, session: &mut Session) -> Result<u8, Refused> {
    let mut code = 0;
    for name in &arguments.profiles {
        match session.checked(Some(name)) {
            Ok((_, warnings)) => session.print(warnings),
            Err(refused) => {
                session.print(refused.problems);
                code = exit::SET_UP_FAILED;
            }
        }
    }
    Ok(code)
}
