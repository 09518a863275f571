//! What a session's profiles permit, and the ceilings that they are held to.

use super::{Refused, Session, not_found, variables};
use crate::diag::{Code, Diagnostic, Diagnostics, Origin, Source, SourceId, Span};
use crate::host::Host;
use crate::profile::overlay::Overlay;
use crate::profile::system::{self, CeilingError};
use crate::profile::{find, mentions, revision};
use crate::review::Grant;
use crate::review::ceiling::{self, Ceiling};
use crate::sections::{Profile, environment};

impl Session {
    /// What a profile permits, what its texts ask of the environment included.
    fn grants(&self, profile: &Profile, ids: &[SourceId]) -> Vec<Grant> {
        let mut grants = profile.grants();
        for id in ids {
            let Some(source) = self.sources.get(*id) else {
                continue;
            };
            // HOME is told to every command anyway.
            let mentions = mentions::of(source, *id).into_iter();
            for name in mentions.filter(|name| name.value != "HOME") {
                grants.push(environment::told(&name.value, Vec::new(), &name.origin));
            }
        }
        grants
    }

    /// Refuses a profile that permits more than the system's ceiling or one of the command line's.
    pub(super) fn hold(&mut self, profile: &Profile, host: &Host) -> Result<(), Refused> {
        let variables = &profile.variables;
        let mut sources: Vec<Source> = system::ceiling()
            .map_err(|error| {
                let code = match &error {
                    CeilingError::Untrusted { .. } => Code::UntrustedCeiling,
                    CeilingError::Read(_) => Code::Unreadable,
                };
                Diagnostic::new(code, &Origin::CommandLine, error.to_string()).help(error.remedy())
            })?
            .into_iter()
            .collect();
        for name in &self.ceilings {
            sources.push(find::ceiling(name, variables).map_err(|error| not_found(&error))?);
        }
        if sources.is_empty() {
            return Ok(());
        }
        let grants = self.grants(profile, &self.of_profiles);
        let mut problems = Diagnostics::default();
        for source in sources {
            let name = source.name().to_owned();
            let id = self.sources.add(source);
            let (most, ids) = self.load(id, variables, &Overlay::default())?;
            let ceiling = Ceiling {
                name,
                origin: Origin::File(id, Span { start: 0, end: 0 }),
                grants: self.grants(&most, &ids),
            };
            if let Err(found) = ceiling::hold(&grants, &ceiling, host) {
                problems.extend(found);
            }
        }
        if problems.is_empty() {
            Ok(())
        } else {
            Err(problems.into())
        }
    }

    /// A profile to be looked at, which may be a git revision: its name and what it permits.
    pub(super) fn reviewed(&mut self, name: Option<&str>) -> Result<(String, Vec<Grant>), Refused> {
        let variables = variables()?;
        let source = match name {
            Some(name) if revision::is_revision(name) => {
                let path = variables.environment.get("PATH");
                let home = variables.home.as_deref();
                revision::read(name, path.map_or("", String::as_str), home).map_err(|error| {
                    Diagnostic::new(Code::NoRevision, &Origin::CommandLine, error.to_string())
                        .help(error.remedy())
                })?
            }
            Some(name) => find::named(name, &variables).map_err(|error| not_found(&error))?,
            None => find::implied(&variables).map_err(|error| not_found(&error))?,
        };
        let name = source.name().to_owned();
        let id = self.sources.add(source);
        let (profile, ids) = self.load(id, &variables, &Overlay::default())?;
        Ok((name, self.grants(&profile, &ids)))
    }
}
