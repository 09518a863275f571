//! What people keep in their home is seen under no shipped profile.

use crate::frame::{Copy, SECRETS, example};

#[test]
fn secrets_in_the_home_are_seen_under_no_shipped_profile() {
    let copy = Copy::of(&example("wordcount"));
    let home = copy.home().to_str().unwrap().to_owned();
    for profile in ["default", "build", "cargo", "python", "node", "strict"] {
        let find = [
            "find", "/", "-path", "/proc", "-prune", "-o", "-type", "f", "-print",
        ];
        let found = copy.sandboxed(profile, &find).stdout;
        assert!(
            found.lines().any(|path| path.ends_with("/find")),
            "{profile}: {found}"
        );
        for secret in SECRETS {
            let path = format!("{home}/{secret}");
            assert!(
                !found.lines().any(|line| line == path),
                "{profile} shows {path}"
            );
        }
    }
}
