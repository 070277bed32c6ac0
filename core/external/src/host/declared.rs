//! Options that a plugin declares, read at run time.

use std::collections::HashMap;

use indexmap::IndexMap;
use longshore_core::options::{Attrs, FamilyPlace, OptionInfo, Options, Place, Visitor, parse, parse_into, stem};
use longshore_core::{Error, Result};

use crate::protocol::Described;

/// Declared options, and the text of those that are set.
#[derive(Debug, Default)]
pub(super) struct Declared {
    options: Vec<OptionInfo>,
    pub(super) set: IndexMap<String, String>,
}

impl Declared {
    /// Reads the options of `type=KIND` that `attrs` have of `declared`; `others` are known, too, but read elsewhere.
    ///
    /// # Errors
    /// An option that neither has; a word that is not one of those to choose from.
    pub(super) fn of_output(kind: &str, attrs: &Attrs, declared: &[Described], others: &[OptionInfo]) -> Result<Self> {
        Self::read(attrs, declared, others, |options| parse(kind, attrs, options))
    }

    /// As [`of_output`](Self::of_output), of a source; `owner` is what messages call it.
    pub(super) fn of_source(owner: &str, attrs: &Attrs, declared: &[Described]) -> Result<Self> {
        Self::read(attrs, declared, &[], |options| parse_into(owner, attrs, options))
    }

    fn read(
        attrs: &Attrs,
        declared: &[Described],
        others: &[OptionInfo],
        parse: impl FnOnce(&mut dyn Options) -> Result<()>,
    ) -> Result<Self> {
        let options = declared.iter().map(OptionInfo::from).collect();
        let mut all = Both { own: Self { options, set: IndexMap::new() }, others };
        parse(&mut all)?;
        Ok(all.own.in_order_of(attrs))
    }

    /// Puts what is set in the order in which it was written: of two options, the later may win.
    fn in_order_of(mut self, attrs: &Attrs) -> Self {
        let order: HashMap<&str, usize> = attrs.iter().enumerate().map(|(at, (key, _))| (key, at)).collect();
        self.set.sort_by_key(|key, _| order.get(key.as_str()).copied());
        self
    }
}

struct Both<'a> {
    own: Declared,
    others: &'a [OptionInfo],
}

impl Options for Both<'_> {
    fn visit(&mut self, visitor: &mut dyn Visitor) -> Result<()> {
        for option in &self.own.options {
            show(option, &mut self.own.set, visitor)?;
        }
        let mut unused = IndexMap::new();
        self.others.iter().try_for_each(|option| show(option, &mut unused, visitor))
    }
}

fn show(option: &OptionInfo, set: &mut IndexMap<String, String>, visitor: &mut dyn Visitor) -> Result<()> {
    let mut place = Text { option, set };
    if is_family(&option.key) {
        visitor.visit_family(option.clone(), &mut place)
    } else {
        visitor.visit(option.clone(), &mut place)
    }
}

fn is_family(key: &str) -> bool {
    key.contains('.')
}

/// Returns whether a text is a word as keys and values to choose from are: lower-case letters, digits and hyphens.
pub(super) fn is_word(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
}

/// Returns whether an option that a user may write belongs to a declared one: the same key, or one of a family.
pub(super) fn belongs(key: &str, declared: &str) -> bool {
    if is_family(declared) { stem(key) == stem(declared) } else { key == declared }
}

struct Text<'a> {
    option: &'a OptionInfo,
    set: &'a mut IndexMap<String, String>,
}

impl Text<'_> {
    /// Words in lower case are all that there is to choose from; other syntaxes are for people.
    fn check(&self, text: &str) -> Result<()> {
        let words: Vec<&str> = self.option.syntax.split('|').collect();
        if words.len() < 2 || !words.iter().all(|word| is_word(word)) {
            return Ok(());
        }
        let is_flag = words == ["true", "false"];
        match words.contains(&text) || is_flag && matches!(text, "" | "1" | "0") {
            true => Ok(()),
            false => Err(Error::option(format!("expected {}, not `{}`", self.option.syntax, text.escape_debug()))),
        }
    }
}

impl Place for Text<'_> {
    fn set(&mut self, text: &str) -> Result<()> {
        self.check(text)?;
        self.set.insert(self.option.key.to_string(), text.to_owned());
        Ok(())
    }
}

impl FamilyPlace for Text<'_> {
    fn set(&mut self, qualifier: Option<&str>, name: &str, text: &str, _: usize) -> Result<()> {
        self.check(text)?;
        let stem = stem(&self.option.key);
        let qualifier = qualifier.map(|qualifier| format!("[{qualifier}]")).unwrap_or_default();
        self.set.insert(format!("{stem}{qualifier}.{name}"), text.to_owned());
        Ok(())
    }
}
