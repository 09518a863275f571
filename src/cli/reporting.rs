//! The report of a run: opened as soon as its place is known, so that whatever happens next is in it.

use super::arguments::Run;
use super::{Refused, Session};
use crate::diag::{Code, Diagnostic, Origin};
use crate::plan::draft::Command;
use crate::plan::{Plan, Step};
use crate::report::denial::Denial;
use crate::report::egress::Denied;
use crate::report::place::Unwritable;
use crate::report::{Measured, Opened, Outcome, Report};
use crate::sections::Profile;
use crate::sections::report::{Target, in_use};
use crate::supervisor::Failure;
use std::time::{Duration, Instant, SystemTime};

/// The report of a run, if one is wanted.
pub(super) struct Reporting {
    started: SystemTime,
    clock: Instant,
    wanted: Option<(Opened, Report)>,
}

impl Reporting {
    /// Begins with what the command line says.
    pub(super) fn begin(arguments: &Run) -> Result<Self, Refused> {
        let mut reporting = Self {
            started: SystemTime::now(),
            clock: Instant::now(),
            wanted: None,
        };
        if let Some(target) = &arguments.report {
            reporting.start(target, &Origin::CommandLine)?;
            let words = arguments.command.iter();
            let words = words.map(|word| word.to_string_lossy().into_owned());
            reporting.told(|report| report.command(words.collect()));
            reporting.lost(&Origin::CommandLine)?;
        }
        Ok(reporting)
    }

    fn start(&mut self, target: &Target, origin: &Origin) -> Result<(), Refused> {
        let opened = Opened::new(target).map_err(|why| unwritable(why, origin))?;
        let report = Report::begin(self.started, self.clock);
        self.wanted = Some((opened, report));
        Ok(())
    }

    /// Writes the report as it stands: as long as nobody says more, that the supervisor was lost.
    /// An earlier run's is gone then too. A descriptor is written to once only, in the end.
    fn lost(&self, origin: &Origin) -> Result<(), Refused> {
        match &self.wanted {
            Some((opened, report)) if opened.can_be_replaced() => opened
                .write(&report.text())
                .map_err(|why| unwritable(why, origin)),
            _ => Ok(()),
        }
    }

    pub(super) fn is_wanted(&self) -> bool {
        self.wanted.is_some()
    }

    /// How long the run has taken.
    pub(super) fn elapsed(&self) -> Duration {
        self.clock.elapsed()
    }

    fn told(&mut self, tell: impl FnOnce(&mut Report)) {
        if let Some((_, report)) = &mut self.wanted {
            tell(report);
        }
    }

    /// The profile was read: opens what it names, unless the command line does.
    pub(super) fn open(
        &mut self,
        arguments: &Run,
        command: &Command,
        profile: &Profile,
        session: &Session,
    ) -> Result<(), Refused> {
        if let Some(target) = &arguments.report {
            if let Some(problem) = in_use(target, &Origin::CommandLine, profile) {
                return Err(problem.into());
            }
        } else if let Some(target) = &profile.report.target {
            self.start(&target.value, &target.origin)?;
        }
        let words = std::iter::once(&command.program).chain(&command.arguments);
        let words = words.map(|word| word.to_string_lossy().into_owned());
        self.told(|report| {
            report.command(words.collect());
            report.profiles(&session.of_profiles, &session.sources);
        });
        Ok(())
    }

    /// There is a plan, which is about to be performed.
    pub(super) fn planned(
        &mut self,
        profile: &Profile,
        plan: &Plan,
        session: &Session,
    ) -> Result<(), Refused> {
        if !self.is_wanted() {
            return Ok(());
        }
        self.told(|report| report.planned(profile, plan, &session.sources));
        let named = profile.report.target.as_ref();
        self.lost(named.map_or(&Origin::CommandLine, |target| &target.origin))
    }

    /// A step was done without.
    pub(super) fn without(&mut self, step: &Step, why: &str, session: &Session) {
        self.told(|report| report.without(step, why, &session.sources));
    }

    /// A step failed; what is wrong is said next.
    pub(super) fn failed(&mut self, plan: &Plan, failure: &Failure) {
        self.told(|report| report.failed(plan, failure.number(), failure.errno()));
    }

    /// The command did not start.
    pub(super) fn refused(&mut self, refused: &Refused, session: &Session) {
        let sources = &session.sources;
        // Where the profile is wrong, what was read of it.
        let read: Vec<_> = match session.of_profiles.is_empty() {
            true => sources.ids().collect(),
            false => session.of_profiles.clone(),
        };
        let problems = refused.problems.clone().sorted();
        self.told(|report| {
            report.profiles(&read, sources);
            report.refused(&problems, refused.code, sources);
        });
        self.write(session);
    }

    /// The filter has refused calls.
    pub(super) fn denied(&mut self, denials: &[Denial], untold: u64) {
        self.told(|report| report.denied(denials, untold));
    }

    /// The gate has refused attempts.
    pub(super) fn unreached(&mut self, denied: &[Denied], untold: u64) {
        self.told(|report| report.unreached(denied, untold));
    }

    /// The command has run.
    pub(super) fn ended(
        &mut self,
        outcome: Outcome,
        measured: &Measured,
        profile: &Profile,
        plan: &Plan,
        session: &Session,
    ) {
        self.told(|report| report.ended(outcome, measured, profile, plan, &session.sources));
        self.write(session);
    }

    /// Writes the last word. Where that fails, it is said; the end of the command stays what it is.
    fn write(&self, session: &Session) {
        if let Some((opened, report)) = &self.wanted
            && let Err(why) = opened.write(&report.text())
        {
            session.say(&format!("{}; {}", why.message, why.help));
        }
    }
}

fn unwritable(why: Unwritable, origin: &Origin) -> Refused {
    Diagnostic::new(Code::Unwritable, origin, why.message)
        .help(why.help)
        .into()
}
