//! The report in the form that CI services read: JUnit's XML. A test is a suite, an assertion a
//! case.

use super::{Proof, place, text};
use crate::diag::{Sources, printable};
use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

/// The report as XML, without characters that XML cannot hold.
///
/// # Errors
/// If it cannot be written as XML.
pub fn report(
    proofs: &[Proof<'_>],
    sources: &Sources,
) -> Result<String, quick_junit::SerializeError> {
    let mut report = Report::new("sandbox test");
    for suite in proofs.chunk_by(|a, b| std::ptr::eq(a.case.test, b.case.test)) {
        let Some(first) = suite.first() else { continue };
        let name = super::one_line(&first.case.test.name.value);
        let mut test = TestSuite::new(name.as_str());
        test.set_time(suite.iter().map(|proof| proof.took).sum());
        test.add_test_cases(suite.iter().map(|proof| case(&name, proof, sources)));
        report.add_test_suite(test);
    }
    report.set_time(proofs.iter().map(|proof| proof.took).sum());
    debug_assert_eq!(report.failures, proofs.len() - text::passed(proofs));
    report.to_string()
}

fn case(suite: &str, proof: &Proof<'_>, sources: &Sources) -> TestCase {
    let status = match proof.diagnostic() {
        None => TestCaseStatus::success(),
        Some(diagnostic) => {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
            status
                .set_type(diagnostic.code.as_str())
                .set_message(super::one_line(&proof.happened))
                .set_description(diagnostic.render(sources, false));
            status
        }
    };
    let mut case = TestCase::new(proof.case.claim(), status);
    case.set_classname(suite).set_time(proof.took);
    if let Some((file, line, _)) = place(&proof.case.assertion.origin, sources) {
        let file = super::one_line(&file);
        case.extra.insert("file".into(), file.into());
        case.extra.insert("line".into(), line.to_string().into());
    }
    if !proof.output.is_empty() {
        case.set_system_out(printable(&proof.output));
    }
    case
}
