//! Regular expressions of `matches()` and the like: in time linear in the text, and bounded in size.

use regex::{Regex, RegexBuilder};

/// Memory of one compiled pattern, in bytes. Those of R4's definitions take under 100 kB.
const PATTERN_BYTES_MAX: usize = 1 << 20;

/// Compiles a pattern: single-line mode (a point matches a line break too), and case counts (N1, "matches").
pub(crate) fn compile(text: &str, whole: bool) -> Option<Regex> {
    let build = |text: &str| {
        RegexBuilder::new(text)
            .dot_matches_new_line(true)
            .size_limit(PATTERN_BYTES_MAX)
            .dfa_size_limit(PATTERN_BYTES_MAX)
            .build()
            .ok()
    };
    if !whole {
        return build(text);
    }
    // The pattern has to stand by itself before it is put in a group: `a)(b` must not become two.
    build(text)?;
    build(&format!("^(?:{text})$"))
}
