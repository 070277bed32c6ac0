//! Modes, as chmod(1) writes them.

use std::borrow::Cow;

use longshore_oci::{Error, Result};

use crate::options::Value;

/// Changes to the mode of a file: octal, or clauses such as `u=rwX,go=rX` (POSIX, "chmod").
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Chmod {
    /// All twelve bits.
    Octal(u32),
    /// Changes, in order.
    Clauses(Vec<Clause>),
}

/// `WHO OPERATOR PERMISSIONS`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Clause {
    /// The bits of whom it is about: each of user, group and others.
    who: u32,
    operator: u8,
    permissions: Vec<u8>,
}

const USER: u32 = 0o4700;
const GROUP: u32 = 0o2070;
const OTHERS: u32 = 0o1007;

impl Value for Chmod {
    fn syntax() -> Cow<'static, str> {
        "MODE".into()
    }

    fn parse(text: &str) -> Result<Self> {
        let invalid = || {
            Error::option(format!("expected a mode, not `{}`", text.escape_debug()))
                .with_hint("write it in octal, as 0755, or as chmod does: u=rwX;go=rX")
        };
        if text.bytes().all(|byte| byte.is_ascii_digit()) {
            let mode = u32::from_str_radix(text, 8).ok().filter(|mode| *mode <= 0o7777);
            return mode.map(Self::Octal).ok_or_else(invalid);
        }
        // Clauses are separated by commas, or where they are inconvenient, by semicolons.
        text.split([',', ';']).map(clause).collect::<Option<_>>().map(Self::Clauses).ok_or_else(invalid)
    }
}

fn clause(text: &str) -> Option<Clause> {
    let at = text.find(['+', '-', '='])?;
    let who = text[..at].bytes().try_fold(0, |who, byte| {
        Some(
            who | match byte {
                b'u' => USER,
                b'g' => GROUP,
                b'o' => OTHERS,
                b'a' => USER | GROUP | OTHERS,
                _ => return None,
            },
        )
    })?;
    let permissions = text.as_bytes()[at + 1..].to_vec();
    let is_known = permissions.iter().all(|byte| b"rwxXst".contains(byte));
    is_known.then(|| Clause {
        who: if who == 0 { USER | GROUP | OTHERS } else { who },
        operator: text.as_bytes()[at],
        permissions,
    })
}

impl Chmod {
    /// Returns the mode of a file that had `mode`.
    pub(super) fn apply(&self, mode: u32, is_directory: bool) -> u32 {
        match self {
            Self::Octal(mode) => *mode,
            Self::Clauses(clauses) => clauses.iter().fold(mode, |mode, clause| clause.apply(mode, is_directory)),
        }
    }
}

impl Clause {
    fn apply(&self, mode: u32, is_directory: bool) -> u32 {
        let bits = self.permissions.iter().fold(0, |bits, permission| {
            bits | match permission {
                b'r' => 0o444,
                b'w' => 0o222,
                b'x' => 0o111,
                b'X' if is_directory || mode & 0o111 != 0 => 0o111,
                b's' => 0o6000,
                b't' => 0o1000,
                _ => 0,
            }
        }) & self.who;
        match self.operator {
            b'+' => mode | bits,
            b'-' => mode & !bits,
            // The bits of a directory that are inherited stay, as with chmod(1) of GNU.
            _ => mode & !(self.who & 0o777 | if is_directory { 0 } else { self.who & 0o7000 }) | bits,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_are_those_of_chmod() {
        for (text, before, is_directory, expected) in [
            ("0640", 0o755, false, 0o640),
            ("4755", 0o644, false, 0o4755),
            ("u=rwX,go=rX", 0o600, false, 0o644),
            ("u=rwX,go=rX", 0o700, false, 0o755),
            ("u=rwX,go=rX", 0o700, true, 0o755),
            ("a-w", 0o666, false, 0o444),
            ("+x", 0o644, false, 0o755),
            ("g+s;o=", 0o755, true, 0o2750),
            ("o+t", 0o777, true, 0o1777),
            ("u-s", 0o4755, false, 0o755),
        ] {
            assert_eq!(Chmod::parse(text).unwrap().apply(before, is_directory), expected, "{text} of {before:o}");
        }
        for text in ["", "8", "10000", "u", "u=q", "z+x", "rwx", "u+x,"] {
            assert!(Chmod::parse(text).is_err(), "{text}");
        }
    }
}
