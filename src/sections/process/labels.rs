//! Labels of security modules: AppArmor and SELinux.

use super::RawProcess;
use crate::diag::{At, Code, Diagnostic, Diagnostics, Origin};
use crate::host::probe::Mechanism;
use crate::plan::draft::c_string;
use crate::plan::op::label::{Label, Module};
use crate::plan::{Draft, Op, Phase};
use crate::review::{Area, Extent, Grant};
use crate::sections::enforce::Level;

/// The labels that are asked for.
#[derive(Clone, Debug, Default)]
pub(super) struct Labels {
    /// Of the command.
    command: Vec<(Module, At<String>)>,
    /// Of files, by SELinux.
    files: Option<At<String>>,
}

impl Labels {
    pub(super) fn check(raw: &RawProcess, problems: &mut Diagnostics) -> Self {
        let mut label = |module: Module, key, asked: &Option<At<String>>, sample| {
            let label = asked.as_ref()?;
            let is_odd = |c: char| c.is_control() || c.is_whitespace();
            if label.value.is_empty() || label.value.contains(is_odd) {
                let text = format!("{} has no label of this name", module.name());
                problems.push(
                    Diagnostic::new(Code::WrongValue, &label.origin, text)
                        .help(format!("for example: {key} = \"{sample}\"")),
                );
                return None;
            }
            Some((module, label.clone()))
        };
        const CONTEXT: &str = "system_u:system_r:container_t:s0";
        const FILES: &str = "system_u:object_r:container_file_t:s0";
        let (apparmor, selinux) = (Module::Apparmor, Module::Selinux);
        let profile = label(apparmor, "apparmor", &raw.apparmor, "build");
        let context = label(selinux, "selinux", &raw.selinux, CONTEXT);
        let files = label(selinux, "selinux_files", &raw.selinux_files, FILES);
        Self {
            command: profile.into_iter().chain(context).collect(),
            files: files.map(|(_, label)| label),
        }
    }

    /// The lines that ask.
    pub(super) fn asked(&self) -> impl Iterator<Item = &Origin> {
        let command = self.command.iter().map(|(_, label)| label);
        command.chain(&self.files).map(|label| &label.origin)
    }

    /// AppArmor only adds to what is refused: with a profile less is permitted than with none, and of two nobody
    /// knows. A context of SELinux may permit more than another one; what stands in the policy of the machine.
    pub(super) fn grants(&self) -> Vec<Grant> {
        let of = |module| self.command.iter().find(move |(which, _)| *which == module);
        let default = Origin::Default("process");
        let profile = of(Module::Apparmor).map(|(_, label)| label);
        let bounds = profile.map(|label| (label.value.clone(), 0));
        let words = match profile {
            Some(label) => format!("run under the profile {} of AppArmor", label.value),
            None => "run under no profile of AppArmor but the caller's".into(),
        };
        let origin = profile.map_or(&default, |label| &label.origin);
        let extent = Extent::Bounds(bounds.into_iter().collect());
        let profile = Grant::new(Area::Process, "process:apparmor", extent, words, origin);
        let context = of(Module::Selinux).map(|(_, label)| {
            let extent = Extent::Same(label.value.clone());
            let words = format!("run in the context {} of SELinux", label.value);
            Grant::new(
                Area::Process,
                "process:selinux",
                extent,
                words,
                &label.origin,
            )
        });
        // What the policy lets others do with them stands there as well.
        let files = self.files.as_ref().map(|label| {
            let extent = Extent::Same(label.value.clone());
            let words = format!("make files in the context {} of SELinux", label.value);
            let key = "process:selinux_files";
            Grant::new(Area::Process, key, extent, words, &label.origin)
        });
        let profile = std::iter::once(profile);
        profile.chain(context).chain(files).collect()
    }

    pub(super) fn steps(&self, enforce: &At<Level>, draft: &mut Draft<'_>) {
        for (module, label) in &self.command {
            if !can_label(*module, &label.origin, enforce, draft) {
                continue;
            }
            let text = match module {
                Module::Apparmor => format!("stack {}", label.value),
                Module::Selinux => label.value.clone(),
            };
            let label_step = Op::SetLabel(Label {
                module: *module,
                text: c_string(&text),
            });
            draft.step(Phase::Label, label_step, &label.origin);
        }
        if let Some(label) = &self.files
            && can_label(Module::Selinux, &label.origin, enforce, draft)
            && !draft.label_files(&c_string(&label.value))
        {
            let text = "nothing is mounted here whose files could have a context of their own";
            let help = "remove the line, or mount a tmpfs";
            draft.refuse(&label.origin, text, help);
        }
    }
}

/// Whether a module is there to label, and wanted.
fn can_label(module: Module, asked: &Origin, enforce: &At<Level>, draft: &mut Draft<'_>) -> bool {
    if enforce.value == Level::Off {
        let text = format!("no label of {}: it is off", module.name());
        draft.note(&enforce.origin, text);
        return false;
    }
    draft.wants([match module {
        Module::Apparmor => Mechanism::Apparmor,
        Module::Selinux => Mechanism::Selinux,
    }]);
    if draft.host.has_module(module) {
        return true;
    }
    let text = format!("{} is not active in this kernel", module.name());
    if enforce.value == Level::Prefer {
        draft.weaker(asked, text);
        return false;
    }
    let help = format!(
        "boot with {} in lsm= on the kernel command line, or write `labels = \"prefer\"` under [enforce]",
        module.key()
    );
    draft.refuse(asked, text, help);
    false
}
