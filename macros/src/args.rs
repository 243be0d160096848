//! What stands in the parentheses of the attribute.
//!
//! The arguments, their rules and the words of the errors are tokio's, so that a program which
//! moves over, and the search engine that knows tokio's messages, find what they expect.

use proc_macro2::{Span, TokenStream};
use quote::ToTokens;
use syn::parse::Parser;
use syn::punctuated::Punctuated;
use syn::{Error, Expr, ExprLit, Ident, Lit, Meta, Path, Result, Token};

use crate::expand::{Attribute, Kind};

/// The arguments, checked against each other.
pub(crate) struct Settings {
    pub(crate) flavor: Flavor,
    pub(crate) worker_threads: Option<usize>,
    pub(crate) start_paused: Option<bool>,
    pub(crate) unhandled_panic: Option<Panic>,
    pub(crate) name: Option<String>,
    pub(crate) tokio_compat: bool,
    /// `crate = "…"`
    pub(crate) facade: Option<Path>,
}

/// The kind of runtime to build.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Flavor {
    MultiThread,
    CurrentThread,
    Local,
}

/// What a task's panic means for the others.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Panic {
    Ignore,
    ShutdownRuntime,
}

const ALL: &str = "`flavor`, `worker_threads`, `start_paused`, `crate`, `unhandled_panic`, `name`, \
     `tokio_compat`";

impl Settings {
    /// The settings of an attribute without arguments, whatever features are on.
    pub(crate) fn fallback() -> Settings {
        Settings {
            flavor: Flavor::CurrentThread,
            worker_threads: None,
            start_paused: None,
            unhandled_panic: None,
            name: None,
            tokio_compat: false,
            facade: None,
        }
    }

    pub(crate) fn parse(tokens: TokenStream, attribute: &Attribute) -> Result<Settings> {
        let list = Punctuated::<Meta, Token![,]>::parse_terminated.parse2(tokens)?;
        let mut arguments = Arguments::default();
        for meta in &list {
            arguments.add(meta, attribute)?;
        }
        arguments.check(attribute)
    }
}

/// The arguments one by one, each with the place of its value.
#[derive(Default)]
struct Arguments {
    flavor: Option<(Flavor, Span)>,
    worker_threads: Option<(usize, Span)>,
    start_paused: Option<(bool, Span)>,
    unhandled_panic: Option<(Panic, Span)>,
    name: Option<(String, Span)>,
    tokio_compat: Option<(bool, Span)>,
    facade: Option<(Path, Span)>,
}

impl Arguments {
    fn add(&mut self, meta: &Meta, attribute: &Attribute) -> Result<()> {
        match meta {
            Meta::NameValue(pair) => {
                let name = name_of(&pair.path, pair)?;
                let Expr::Lit(ExprLit { lit, .. }) = &pair.value else {
                    return Err(Error::new_spanned(&pair.value, "Must be a literal"));
                };
                self.set(name, lit, pair)
            }
            Meta::Path(path) => Err(no_value(path, attribute)),
            Meta::List(_) => Err(Error::new_spanned(
                meta,
                "Unknown attribute inside the macro",
            )),
        }
    }

    fn set(&mut self, name: &Ident, value: &Lit, whole: &dyn ToTokens) -> Result<()> {
        match name.to_string().as_str() {
            "flavor" => set_once(&mut self.flavor, name, value, parse_flavor),
            "worker_threads" => set_once(&mut self.worker_threads, name, value, parse_threads),
            "start_paused" => set_once(&mut self.start_paused, name, value, parse_bool),
            "crate" => set_once(&mut self.facade, name, value, parse_path),
            "unhandled_panic" => set_once(&mut self.unhandled_panic, name, value, parse_panic),
            "name" => set_once(&mut self.name, name, value, parse_name),
            "tokio_compat" => set_once(&mut self.tokio_compat, name, value, parse_bool),
            "core_threads" => {
                let message = "Attribute `core_threads` is renamed to `worker_threads`";
                Err(Error::new_spanned(whole, message))
            }
            unknown => Err(Error::new_spanned(whole, unknown_argument(unknown))),
        }
    }

    fn check(self, attribute: &Attribute) -> Result<Settings> {
        let flavor = self.flavor(attribute)?;
        let requires = |option: &str, wanted: &str| {
            format!(
                "The `{option}` option requires the `{wanted}` runtime flavor. \
                 Use `#[{}(flavor = \"{wanted}\")]`",
                attribute.path()
            )
        };
        // Several workers with a clock that stands are not tokio's: who wants them says so.
        let paused = match self.flavor {
            Some((Flavor::MultiThread, _)) => None,
            _ => place(&self.start_paused, "start_paused", "current_thread"),
        };
        // Each option that only some flavours have, and the flavour to name.
        let refused = match flavor {
            Flavor::MultiThread => [
                paused,
                place(&self.unhandled_panic, "unhandled_panic", "current_thread"),
            ],
            Flavor::CurrentThread | Flavor::Local => [
                place(&self.worker_threads, "worker_threads", "multi_thread"),
                None,
            ],
        };
        if let Some((option, wanted, span)) = refused.into_iter().flatten().next() {
            return Err(Error::new(span, requires(option, wanted)));
        }
        Ok(Settings {
            flavor,
            worker_threads: self.worker_threads.map(value_of),
            start_paused: self.start_paused.map(value_of),
            unhandled_panic: self.unhandled_panic.map(value_of),
            name: self.name.map(value_of),
            tokio_compat: self.tokio_compat.is_some_and(value_of),
            facade: self.facade.map(value_of),
        })
    }

    fn flavor(&self, attribute: &Attribute) -> Result<Flavor> {
        let default = match attribute.kind {
            Kind::Main => Flavor::MultiThread,
            Kind::Test => Flavor::CurrentThread,
        };
        match self.flavor {
            None if default == Flavor::MultiThread && !attribute.multi_thread => Err(Error::new(
                Span::call_site(),
                "The default runtime flavor is `multi_thread`, \
                 but the `rt-multi-thread` feature is disabled.",
            )),
            Some((Flavor::MultiThread, span)) if !attribute.multi_thread => Err(Error::new(
                span,
                "The runtime flavor `multi_thread` requires the `rt-multi-thread` feature.",
            )),
            given => Ok(given.map_or(default, |(flavor, _)| flavor)),
        }
    }
}

fn value_of<T>((value, _): (T, Span)) -> T {
    value
}

/// An option that was given, with the flavour that it requires.
fn place<T>(
    given: &Option<(T, Span)>,
    option: &'static str,
    wanted: &'static str,
) -> Option<(&'static str, &'static str, Span)> {
    given.as_ref().map(|(_, span)| (option, wanted, *span))
}

fn set_once<T>(
    slot: &mut Option<(T, Span)>,
    name: &Ident,
    value: &Lit,
    parse: impl FnOnce(&Lit, &str) -> Result<T>,
) -> Result<()> {
    let name = name.to_string();
    if slot.is_some() {
        return Err(Error::new(
            value.span(),
            format!("`{name}` set multiple times."),
        ));
    }
    *slot = Some((parse(value, &name)?, value.span()));
    Ok(())
}

fn name_of<'a>(path: &'a Path, whole: &dyn ToTokens) -> Result<&'a Ident> {
    path.get_ident()
        .ok_or_else(|| Error::new_spanned(whole, "Must have specified ident"))
}

fn parse_flavor(value: &Lit, name: &str) -> Result<Flavor> {
    let text = parse_text(value, name)?;
    let message = match text.as_str() {
        "multi_thread" => return Ok(Flavor::MultiThread),
        "current_thread" => return Ok(Flavor::CurrentThread),
        "local" => return Ok(Flavor::Local),
        "single_thread" => {
            "The single threaded runtime flavor is called `current_thread`.".to_owned()
        }
        "basic_scheduler" => renamed(&text, "current_thread"),
        "threaded_scheduler" => renamed(&text, "multi_thread"),
        _ => format!(
            "No such runtime flavor `{text}`. \
             The runtime flavors are `current_thread`, `local`, and `multi_thread`."
        ),
    };
    Err(Error::new(value.span(), message))
}

fn renamed(old: &str, new: &str) -> String {
    format!("The `{old}` runtime flavor has been renamed to `{new}`.")
}

fn parse_threads(value: &Lit, name: &str) -> Result<usize> {
    let failure = |cause: String| {
        let message = format!("Failed to parse value of `{name}` as integer{cause}");
        Error::new(value.span(), message)
    };
    let Lit::Int(number) = value else {
        return Err(failure(".".to_owned()));
    };
    match number.base10_parse() {
        Ok(0) => Err(Error::new(value.span(), format!("`{name}` may not be 0."))),
        Ok(threads) => Ok(threads),
        Err(error) => Err(failure(format!(": {error}"))),
    }
}

fn parse_bool(value: &Lit, name: &str) -> Result<bool> {
    let Lit::Bool(flag) = value else {
        return Err(wrong_kind(value, name, "bool."));
    };
    Ok(flag.value)
}

fn parse_text(value: &Lit, name: &str) -> Result<String> {
    let Lit::Str(text) = value else {
        return Err(wrong_kind(value, name, "string."));
    };
    Ok(text.value())
}

fn parse_path(value: &Lit, name: &str) -> Result<Path> {
    let Lit::Str(text) = value else {
        return Err(wrong_kind(value, name, "path."));
    };
    text.parse()
        .map_err(|_| wrong_kind(value, name, &format!("path: \"{}\"", text.value())))
}

fn wrong_kind(value: &Lit, name: &str, wanted: &str) -> Error {
    Error::new(
        value.span(),
        format!("Failed to parse value of `{name}` as {wanted}"),
    )
}

fn parse_panic(value: &Lit, name: &str) -> Result<Panic> {
    match parse_text(value, name)?.as_str() {
        "ignore" => Ok(Panic::Ignore),
        "shutdown_runtime" => Ok(Panic::ShutdownRuntime),
        behavior => Err(Error::new(
            value.span(),
            format!(
                "No such unhandled panic behavior `{behavior}`. \
                 The unhandled panic behaviors are `ignore` and `shutdown_runtime`."
            ),
        )),
    }
}

/// A name that the builder would refuse at run time is refused here already.
fn parse_name(value: &Lit, name: &str) -> Result<String> {
    let text = parse_text(value, name)?;
    if text.trim().is_empty() {
        return Err(Error::new(value.span(), "runtime name shouldn't be empty"));
    }
    Ok(text)
}

fn no_value(path: &Path, attribute: &Attribute) -> Error {
    let name = match name_of(path, path) {
        Ok(name) => name.to_string(),
        Err(error) => return error,
    };
    let flavor = |flavor: &str| {
        format!(
            "Set the runtime flavor with #[{}(flavor = \"{flavor}\")].",
            attribute.path()
        )
    };
    let message = match name.as_str() {
        "threaded_scheduler" | "multi_thread" => flavor("multi_thread"),
        "basic_scheduler" | "current_thread" | "single_threaded" => flavor("current_thread"),
        "flavor" | "worker_threads" | "start_paused" | "crate" | "unhandled_panic" | "name"
        | "tokio_compat" => {
            format!("The `{name}` attribute requires an argument.")
        }
        unknown => unknown_argument(unknown),
    };
    Error::new_spanned(path, message)
}

fn unknown_argument(name: &str) -> String {
    format!("Unknown attribute {name} is specified; expected one of: {ALL}.")
}
