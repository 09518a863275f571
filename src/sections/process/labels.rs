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
pub(super) struct Labels(Vec<(Module, At<String>)>);

impl Labels {
    pub(super) fn check(raw: &RawProcess, problems: &mut Diagnostics) -> Self {
        let asked = [
            (Module::Apparmor, &raw.apparmor, "\"build\""),
            (
                Module::Selinux,
                &raw.selinux,
                "\"system_u:system_r:container_t:s0\"",
            ),
        ];
        let mut labels = Vec::new();
        for (module, label, sample) in asked {
            let Some(label) = label else { continue };
            let is_odd = |c: char| c.is_control() || c.is_whitespace();
            if label.value.is_empty() || label.value.contains(is_odd) {
                let text = format!("{} has no label of this name", module.name());
                problems.push(
                    Diagnostic::new(Code::WrongValue, &label.origin, text)
                        .help(format!("for example: {} = {sample}", module.key())),
                );
                continue;
            }
            labels.push((module, label.clone()));
        }
        Self(labels)
    }

    /// The lines that ask.
    pub(super) fn asked(&self) -> impl Iterator<Item = &Origin> {
        self.0.iter().map(|(_, label)| &label.origin)
    }

    /// AppArmor only adds to what is refused: with a profile less is permitted than with none, and of two nobody
    /// knows. A context of SELinux may permit more than another one; what stands in the policy of the machine.
    pub(super) fn grants(&self) -> Vec<Grant> {
        let of = |module| self.0.iter().find(move |(which, _)| *which == module);
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
        std::iter::once(profile).chain(context).collect()
    }

    pub(super) fn steps(&self, enforce: &At<Level>, draft: &mut Draft<'_>) {
        for (module, label) in &self.0 {
            if enforce.value == Level::Off {
                let text = format!("no label of {}: it is off", module.name());
                draft.note(&enforce.origin, text);
                continue;
            }
            draft.wants([match module {
                Module::Apparmor => Mechanism::Apparmor,
                Module::Selinux => Mechanism::Selinux,
            }]);
            if draft.host.has_module(*module) {
                let text = match module {
                    Module::Apparmor => format!("stack {}", label.value),
                    Module::Selinux => label.value.clone(),
                };
                let label_step = Op::SetLabel(Label {
                    module: *module,
                    text: c_string(&text),
                });
                draft.step(Phase::Label, label_step, &label.origin);
                continue;
            }
            let text = format!("{} is not active in this kernel", module.name());
            if enforce.value == Level::Prefer {
                draft.weaker(&label.origin, text);
                continue;
            }
            let help = format!(
                "boot with {} in lsm= on the kernel command line, or write `labels = \"prefer\"` under [enforce]",
                module.key()
            );
            draft.refuse(&label.origin, text, help);
        }
    }
}
