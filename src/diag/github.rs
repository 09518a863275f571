//! Diagnostics as workflow commands of GitHub Actions, which it shows beside the lines of a change.

use super::{Checked, Diagnostic, Severity, Sources, printable};
use std::fmt::Write as _;

/// One command a line.
#[must_use]
pub fn render(checked: &[Checked], sources: &Sources) -> String {
    let mut text = String::new();
    for one in checked {
        for problem in &one.problems {
            let _ = writeln!(text, "{}", command(problem, one, sources));
        }
    }
    text
}

fn command(problem: &Diagnostic, checked: &Checked, sources: &Sources) -> String {
    let name = match problem.code.severity() {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "notice",
    };
    let mut properties = Vec::new();
    let region = problem
        .labels
        .first()
        .and_then(|l| l.origin.region(sources));
    match region {
        Some((source, region)) => {
            let (start, end) = (region.start, region.end);
            properties.push(format!("file={}", property(path(source.name()))));
            properties.push(format!("line={},endLine={}", start.line, end.line));
            // Columns are taken only within one line.
            if start.line == end.line {
                properties.push(format!("col={},endColumn={}", start.column, end.column));
            }
        }
        None => properties.extend(
            checked
                .file
                .iter()
                .map(|file| format!("file={}", property(path(file)))),
        ),
    }
    properties.push(format!("title={}", problem.code.as_str()));
    let mut message = problem.message.clone();
    for (index, label) in problem.labels.iter().enumerate() {
        let place = label.origin.display(sources);
        match (index, label.text.as_str()) {
            (0, "") => {}
            (0, text) => message = format!("{message}: {text}"),
            (_, "") => message = format!("{message}\n{place}"),
            (_, text) => message = format!("{message}\n{place}: {text}"),
        }
    }
    if let Some(help) = &problem.help {
        message = format!("{message}\nhelp: {help}");
    }
    format!("::{name} {}::{}", properties.join(","), data(&message))
}

/// The path as GitHub finds it, relative to the checkout.
fn path(name: &str) -> &str {
    name.trim_start_matches("./")
}

/// The escapes of a command's data: a line feed would end the command and begin another, and so
/// would a carriage return, which is escaped as a control character already.
fn data(text: &str) -> String {
    printable(text).replace('%', "%25").replace('\n', "%0A")
}

/// The escapes of a property, which a comma or a colon would end too.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ends_a_command_is_escaped() {
        assert_eq!(data("100%: a,b\nc"), "100%25: a,b%0Ac");
        assert_eq!(property("100%: a,b\nc"), "100%25%3A a%2Cb%0Ac");
        assert_eq!(data("a\u{1b}b\r::c"), "a\\u{1b}b\\r::c");
    }
}
