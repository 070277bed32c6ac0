//! Options that a plugin declares, read at run time.

use std::collections::HashMap;

use indexmap::IndexMap;

use longshore_core::options::{Attrs, FamilyPlace, OptionInfo, Options, Place, Visitor, parse, parse_into};
use longshore_core::{Error, Result};

use crate::protocol::Described;

/// Declared options, and the text of those that are set.
#[derive(Debug, Default)]
pub(super) struct Declared {
    options: Vec<OptionInfo>,
    pub(super) set: IndexMap<String, String>,
}

impl Declared {
    /// Reads the options that `attrs` have of `declared`; `others` are known, too, but read elsewhere.
    ///
    /// # Errors
    /// An option that neither has; a word that is not one of those to choose from.
    pub(super) fn parse(kind: &str, attrs: &Attrs, declared: &[Described], others: &[OptionInfo]) -> Result<Self> {
        let own = declared.iter().map(OptionInfo::from).collect();
        let mut all = Both { own: Self { options: own, set: IndexMap::new() }, others };
        parse(kind, attrs, &mut all)?;
        Ok(all.own.in_order_of(attrs))
    }
}

impl Declared {
    /// Reads the options of `owner`, which messages name.
    ///
    /// # Errors
    /// As [`parse`](Self::parse).
    pub(super) fn parse_for(owner: &str, attrs: &Attrs, declared: &[Described]) -> Result<Self> {
        let own = declared.iter().map(OptionInfo::from).collect();
        let mut all = Both { own: Self { options: own, set: IndexMap::new() }, others: &[] };
        parse_into(owner, attrs, &mut all)?;
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

/// Returns whether an option that a user may write belongs to a declared one: the same key, or one of a family.
pub(super) fn belongs(key: &str, declared: &str) -> bool {
    let stem = |key: &str| key.find(['[', '.']).unwrap_or(key.len());
    if is_family(declared) { key[..stem(key)] == declared[..stem(declared)] } else { key == declared }
}

struct Text<'a> {
    option: &'a OptionInfo,
    set: &'a mut IndexMap<String, String>,
}

impl Text<'_> {
    /// Words in lower case are all that there is to choose from; other syntaxes are for people.
    fn check(&self, text: &str) -> Result<()> {
        let words: Vec<&str> = self.option.syntax.split('|').collect();
        let is_word = |word: &&str| {
            !word.is_empty() && word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
        };
        if words.len() < 2 || !words.iter().all(is_word) {
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
        let stem = &self.option.key[..self.option.key.find(['[', '.']).unwrap_or(self.option.key.len())];
        let qualifier = qualifier.map(|qualifier| format!("[{qualifier}]")).unwrap_or_default();
        self.set.insert(format!("{stem}{qualifier}.{name}"), text.to_owned());
        Ok(())
    }
}
