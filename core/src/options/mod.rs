//! Options, declared once: parsing, help, the reference page and the plugin protocol come from it.
//!
//! ```
//! use longshore_core::options::{Attrs, Options, Visitor, describe, parse};
//! use longshore_core::Result;
//!
//! #[derive(Debug, Default)]
//! struct BoxOptions {
//!     sealed: Option<bool>,
//! }
//!
//! impl Options for BoxOptions {
//!     fn visit(&mut self, visitor: &mut dyn Visitor) -> Result<()> {
//!         visitor.option("sealed", "Seal the box", "false", &mut self.sealed)
//!     }
//! }
//!
//! let mut options = BoxOptions::default();
//! parse("box", &Attrs::from_iter([("sealed", "true")]), &mut options)?;
//! assert_eq!(options.sealed, Some(true));
//!
//! let typo = Attrs::from_iter([("saeled", "true")]);
//! let error = parse("box", &typo, &mut BoxOptions::default()).unwrap_err();
//! assert_eq!(error.message(), "type=box has no option `saeled`");
//! assert_eq!(error.hint(), Some("did you mean `sealed`?"));
//! assert_eq!(describe(&mut BoxOptions::default())[0].default, "false");
//! # Ok::<(), longshore_core::Error>(())
//! ```

mod family;
pub(crate) mod record;
mod value;

use std::borrow::Cow;

use indexmap::IndexMap;
use longshore_oci::{Error, Result};
use serde::{Deserialize, Serialize};

pub use family::{Family, FamilyPlace, Member, stem};
pub use longshore_content::nearest;
pub use value::{Owner, Value, choice_syntax, list_value, parse_choice};

/// The raw options of one output, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Attrs(IndexMap<String, Attr>);

/// The text of one option, and its column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attr {
    /// The text after `=`.
    pub value: String,
    /// The column at which the field begins, counted from 1; `None` if the option was not written by a user.
    pub column: Option<usize>,
}

impl Attrs {
    /// Reads options as the outputs of a command line have them: one CSV record of `KEY=VALUE` fields. `noun` names
    /// what is read, for messages.
    ///
    /// # Errors
    /// [`InvalidOption`](crate::ErrorKind::InvalidOption) with the column: a record that is not CSV, a field without
    /// `=`, a key that is given twice.
    pub fn parse(noun: &str, text: &str) -> Result<Self> {
        let mut attrs = Self::default();
        for field in record::record(noun, text)? {
            let (key, value) = record::key_value(noun, &field)?;
            record::insert(noun, &mut attrs, &key, value, field.column)?;
        }
        Ok(attrs)
    }

    /// Adds an option. Returns `false`, and changes nothing, if it already exists.
    pub fn insert(&mut self, key: impl Into<String>, value: impl Into<String>, column: Option<usize>) -> bool {
        let entry = self.0.entry(key.into());
        let is_new = matches!(entry, indexmap::map::Entry::Vacant(_));
        entry.or_insert_with(|| Attr { value: value.into(), column });
        is_new
    }

    /// Removes and returns an option.
    pub fn take(&mut self, key: &str) -> Option<Attr> {
        self.0.shift_remove(key)
    }

    /// Returns the options in the order in which they were written.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Attr)> {
        self.0.iter().map(|(key, attr)| (key.as_str(), attr))
    }
}

impl<K: Into<String>, V: Into<String>> FromIterator<(K, V)> for Attrs {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(pairs: I) -> Self {
        let mut attrs = Self::default();
        for (key, value) in pairs {
            attrs.insert(key, value, None);
        }
        attrs
    }
}

/// A set of options, each declared in one place.
///
/// The set may be a struct with a field per option, or a list that is read at run time.
pub trait Options {
    /// Shows each option to `visitor`; a group shared by several exporters is included by calling its `visit`.
    ///
    /// # Errors
    /// An invalid option, reported by the visitor.
    fn visit(&mut self, visitor: &mut dyn Visitor) -> Result<()>;

    /// Checks options against each other, after all of them are read.
    ///
    /// # Errors
    /// Two options that contradict each other, or one that requires another.
    fn validate(&self) -> Result<()> {
        Ok(())
    }
}

/// A visitor of every option of a set, which fills them in or lists them.
pub trait Visitor {
    /// Visits one option: its key, help, default (for display), and place.
    ///
    /// The place stays `None` when the option is unset: unset is not the default.
    ///
    /// # Errors
    /// The given text is not a valid value.
    fn visit(&mut self, option: OptionInfo, place: &mut dyn Place) -> Result<()>;

    /// Visits an option family. Its key is a pattern: `STEM.NAME`, or `STEM[QUALIFIER].NAME` where the brackets may
    /// be left out, with words in capitals for what the user chooses.
    ///
    /// # Errors
    /// An option of the family that does not follow the pattern, or is not a value of it.
    fn visit_family(&mut self, option: OptionInfo, place: &mut dyn FamilyPlace) -> Result<()>;
}

impl dyn Visitor + '_ {
    /// Shows one option of type `T`.
    ///
    /// # Errors
    /// As [`Visitor::visit`].
    pub fn option<T: Value>(
        &mut self,
        key: impl Into<Cow<'static, str>>,
        help: impl Into<Cow<'static, str>>,
        default: impl Into<Cow<'static, str>>,
        place: &mut Option<T>,
    ) -> Result<()> {
        let info = OptionInfo::new(key, help, T::syntax(), default);
        self.visit(info, place)
    }

    /// Shows a family of options with values of type `T` and qualifiers of type `Q`.
    ///
    /// # Errors
    /// As [`Visitor::visit_family`].
    pub fn family<Q: Value, T: Value>(
        &mut self,
        pattern: impl Into<Cow<'static, str>>,
        help: impl Into<Cow<'static, str>>,
        default: impl Into<Cow<'static, str>>,
        place: &mut Family<Q, T>,
    ) -> Result<()> {
        let info = OptionInfo::new(pattern, help, T::syntax(), default);
        self.visit_family(info, place)
    }
}

/// The target of an option's value; implemented by `Option<T>` for every [`Value`].
pub trait Place {
    /// Parses `text` and stores the value.
    ///
    /// # Errors
    /// `text` is not a value.
    fn set(&mut self, text: &str) -> Result<()>;
}

impl<T: Value> Place for Option<T> {
    fn set(&mut self, text: &str) -> Result<()> {
        *self = Some(T::parse(text)?);
        Ok(())
    }
}

/// The description of an option, for help and other programs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct OptionInfo {
    /// Its key.
    pub key: Cow<'static, str>,
    /// What it does, in one line.
    pub help: Cow<'static, str>,
    /// The syntax of its values, such as `true|false`.
    pub syntax: Cow<'static, str>,
    /// Its default, for display.
    pub default: Cow<'static, str>,
}

impl OptionInfo {
    /// Creates the description of an option.
    pub fn new(
        key: impl Into<Cow<'static, str>>,
        help: impl Into<Cow<'static, str>>,
        syntax: impl Into<Cow<'static, str>>,
        default: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self { key: key.into(), help: help.into(), syntax: syntax.into(), default: default.into() }
    }
}

/// Reads `attrs` into the options of `type=<kind>`.
///
/// # Errors
/// [`InvalidOption`](crate::ErrorKind::InvalidOption) for an unknown key, with the nearest known one, and for a
/// bad value; both name the column. Then `options` must not be used.
pub fn parse(kind: &str, attrs: &Attrs, options: &mut dyn Options) -> Result<()> {
    // Every output has these keys.
    parse_of(&format!("type={kind}"), &["type", "dest"], attrs, options)
}

/// Reads `attrs` into the options of sources of `scheme`.
///
/// # Errors
/// As [`parse`].
pub fn parse_of_source<O: Options + Default>(scheme: &str, attrs: &Attrs) -> Result<O> {
    parse_for(&format!("source `{scheme}:`"), attrs)
}

/// Reads `attrs` into the options of `owner`, which messages name.
///
/// # Errors
/// As [`parse`].
pub fn parse_for<O: Options + Default>(owner: &str, attrs: &Attrs) -> Result<O> {
    let mut options = O::default();
    parse_into(owner, attrs, &mut options)?;
    Ok(options)
}

/// As [`parse_for`], for options that are there already.
///
/// # Errors
/// As [`parse`].
pub fn parse_into(owner: &str, attrs: &Attrs, options: &mut dyn Options) -> Result<()> {
    parse_of(owner, &[], attrs, options)
}

/// An empty set of options.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoOptions;

impl Options for NoOptions {
    fn visit(&mut self, _: &mut dyn Visitor) -> Result<()> {
        Ok(())
    }
}

fn parse_of(owner: &str, common: &[&'static str], attrs: &Attrs, options: &mut dyn Options) -> Result<()> {
    let known = common.iter().map(|key| (*key).into()).collect();
    let mut parser = Parser { owner, attrs, left: attrs.clone(), known };
    options.visit(&mut parser)?;
    match parser.left.iter().next() {
        Some((key, attr)) => Err(parser.unknown(key, attr)),
        None => options.validate(),
    }
}

/// Fills in options, and keeps the unknown attributes.
struct Parser<'a> {
    owner: &'a str,
    attrs: &'a Attrs,
    left: Attrs,
    known: Vec<Cow<'static, str>>,
}

impl Visitor for Parser<'_> {
    fn visit(&mut self, option: OptionInfo, place: &mut dyn Place) -> Result<()> {
        let attr = self.left.take(&option.key);
        self.known.push(option.key.clone());
        let Some(attr) = attr else { return Ok(()) };
        place.set(&attr.value).map_err(|error| self.bad_value(&option.key, &attr, &error))
    }

    fn visit_family(&mut self, option: OptionInfo, place: &mut dyn FamilyPlace) -> Result<()> {
        let pattern = option.key;
        let keys: Vec<String> = self.left.iter().map(|(key, _)| key.to_owned()).collect();
        for key in keys {
            let member = match family::split(&pattern, &key) {
                Ok(None) => continue,
                Ok(Some(member)) => Ok(member),
                Err(malformed) => Err(malformed),
            };
            let Some(attr) = self.left.take(&key) else { continue };
            let at = self.attrs.0.get_index_of(&key).unwrap_or_default();
            let set = member.and_then(|(qualifier, name)| place.set(qualifier, name, &attr.value, at));
            set.map_err(|error| self.bad_value(&key, &attr, &error))?;
        }
        self.known.push(pattern);
        Ok(())
    }
}

impl Parser<'_> {
    fn bad_value(&self, key: &str, attr: &Attr, error: &Error) -> Error {
        let at = at_column(attr.column);
        let key = key.escape_debug();
        let outer = Error::option(format!("option `{key}` of {}{at}: {}", self.owner, error.message()));
        match error.hint() {
            Some(hint) => outer.with_hint(hint),
            None => outer,
        }
    }

    fn unknown(&self, key: &str, attr: &Attr) -> Error {
        let message = format!("{} has no option `{}`{}", self.owner, key.escape_debug(), at_column(attr.column));
        let meant = nearest(family::stem(key), self.known.iter().map(|key| family::stem(key)));
        let meant = meant.and_then(|near| self.known.iter().find(|key| family::stem(key) == near));
        Error::option(message).with_hint(match meant {
            Some(near) => format!("did you mean `{near}`?"),
            None if self.known.is_empty() => "it has no options".to_owned(),
            None => format!("it has {}", self.known.join(", ")),
        })
    }
}

/// Formats the column of a field, to end a message.
pub(crate) fn at_column(column: Option<usize>) -> String {
    column.map(|column| format!(" at column {column}")).unwrap_or_default()
}

/// Lists `options`, in the order in which they are shown.
pub fn describe(options: &mut dyn Options) -> Vec<OptionInfo> {
    struct Lister(Vec<OptionInfo>);
    impl Visitor for Lister {
        fn visit(&mut self, option: OptionInfo, _: &mut dyn Place) -> Result<()> {
            self.0.push(option);
            Ok(())
        }

        fn visit_family(&mut self, option: OptionInfo, _: &mut dyn FamilyPlace) -> Result<()> {
            self.0.push(option);
            Ok(())
        }
    }
    let mut lister = Lister(Vec::new());
    // A lister refuses nothing, so there is no error to report.
    let _ = options.visit(&mut lister);
    lister.0
}
