//! The function that takes the place of the async one.
//!
//! `async fn f(..) -> T { body }` becomes
//!
//! ```text
//! fn f(..) -> T {
//!     let body = async {
//!         if let Some(output) = None::<T> { return output; }
//!         body
//!     };
//!     return ::ringway::runtime::Builder::new_multi_thread()
//!         .enable_all()
//!         .build()
//!         .expect("Failed building the Runtime")
//!         .block_on(body);
//! }
//! ```
//!
//! The return that never happens tells the compiler what the block is to return before it looks at
//! the body. So a wrong type is reported once, at the expression in the body which has it, and `?`
//! and coercions work as in an `async fn`.
//!
//! Rejected: an inner `async fn` with the body. Then `Self`, `self` and generic arguments would not be
//! in scope, and names derived from the type of a local function (as test tools do) would change.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::{Attribute as Annotation, Error, Meta, Path, Result};

use crate::args::{Flavor, Panic, Settings};
use crate::function::{Function, braces_of};

/// One of the attributes, as it is used in one crate.
pub(crate) struct Attribute {
    pub(crate) kind: Kind,
    /// Whether the feature `rt-multi-thread` is on.
    pub(crate) multi_thread: bool,
    /// The name under which the crate knows ringway.
    pub(crate) facade: String,
}

/// Which of the attributes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Kind {
    Main,
    Test,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Kind::Main => "main",
            Kind::Test => "test",
        }
    }
}

impl Attribute {
    /// The attribute as its user writes it, such as `ringway::main`.
    pub(crate) fn path(&self) -> String {
        format!("{}::{}", self.facade, self.kind.name())
    }

    /// The new function; or, after an error in the arguments, the error and a function as near to
    /// the meant one as can be, so that no further errors come of its absence.
    pub(crate) fn expand(&self, args: TokenStream, item: TokenStream) -> TokenStream {
        let function: Function = match syn::parse2(item.clone()) {
            Ok(function) => function,
            Err(error) => return [item, error.into_compile_error()].into_iter().collect(),
        };
        match check(self.kind, &function).and_then(|()| Settings::parse(args, self)) {
            Ok(settings) => self.write(function, settings),
            Err(error) => {
                let function = self.write(function, Settings::fallback());
                [function, error.into_compile_error()].into_iter().collect()
            }
        }
    }

    fn write(&self, mut function: Function, settings: Settings) -> TokenStream {
        function.signature.asyncness = None;
        let body = self.write_body(&function, settings);
        let Function {
            attributes,
            visibility,
            signature,
            ..
        } = &function;
        // After the others: an attribute that stands before sees that this is a test.
        let test = match self.kind {
            Kind::Main => None,
            Kind::Test => Some(quote! { #[::core::prelude::v1::test] }),
        };
        quote! { #(#attributes)* #test #visibility #signature #body }
    }

    fn write_body(&self, function: &Function, settings: Settings) -> TokenStream {
        let future = write_future(function);
        // Not to be seen from the user's code, nor to hide an argument of this name.
        let body = Ident::new("body", Span::mixed_site());
        // A program has one main and may have a thousand tests: for these `block_on` is compiled
        // once for each type of result, not once for each future.
        let erase = match self.kind {
            Kind::Main => None,
            Kind::Test => Some(quote! {
                let #body: ::core::pin::Pin<&mut dyn ::core::future::Future<Output = _>> =
                    ::core::pin::pin!(#body);
            }),
        };
        let runtime = self.write_runtime(settings);
        let contents = quote! {
            let #body = #future;
            #erase
            #[allow(clippy::diverging_sub_expression)]
            {
                return #runtime.expect("Failed building the Runtime").block_on(#body);
            }
        };
        braces_of(&function.body, contents).into_token_stream()
    }

    /// The expression that builds the runtime, a `Result`.
    fn write_runtime(&self, settings: Settings) -> TokenStream {
        let facade = settings.facade.map_or_else(
            || {
                let name = Ident::new(&self.facade, Span::call_site());
                quote! { ::#name }
            },
            Path::into_token_stream,
        );
        let new = match settings.flavor {
            Flavor::MultiThread => quote! { new_multi_thread },
            Flavor::CurrentThread | Flavor::Local => quote! { new_current_thread },
        };
        let build = match settings.flavor {
            Flavor::MultiThread | Flavor::CurrentThread => quote! { build() },
            Flavor::Local => {
                quote! { build_local(::core::default::Default::default()) }
            }
        };
        let name = settings.name.map(|it| quote! { .name(#it) });
        let unhandled_panic = settings.unhandled_panic.map(|it| {
            let behavior = match it {
                Panic::Ignore => quote! { Ignore },
                Panic::ShutdownRuntime => quote! { ShutdownRuntime },
            };
            quote! { .unhandled_panic(#facade::runtime::UnhandledPanic::#behavior) }
        });
        let worker_threads = settings
            .worker_threads
            .map(|it| quote! { .worker_threads(#it) });
        let start_paused = settings
            .start_paused
            .map(|it| quote! { .start_paused(#it) });
        let tokio_compat = settings
            .tokio_compat
            .then(|| quote! { .enable_tokio_compat() });
        quote! {
            #facade::runtime::Builder::#new()
                #name #worker_threads #start_paused #unhandled_panic #tokio_compat
                .enable_all().#build
        }
    }
}

/// The async block with the body in it.
fn write_future(function: &Function) -> TokenStream {
    let output = function.nameable_output();
    let typed = output.map(|output| {
        // The compiler points here for the reason why it expects the type.
        let returned = Ident::new("output", Span::mixed_site().located_at(span_of(&output)));
        quote! {
            if let ::core::option::Option::Some(#returned) = ::core::option::Option::<#output>::None {
                return #returned;
            }
        }
    });
    let statements = function.body.stream();
    let block = braces_of(&function.body, quote! { #typed #statements });
    quote_spanned! {function.body.span()=> async #block }
}

fn span_of(tokens: &TokenStream) -> Span {
    tokens
        .clone()
        .into_iter()
        .next()
        .map_or_else(Span::call_site, |token| token.span())
}

/// What can be wrong with the function itself.
fn check(kind: Kind, function: &Function) -> Result<()> {
    let signature = &function.signature;
    if kind == Kind::Main && signature.ident == "main" && !signature.inputs.is_empty() {
        let message = "the main function cannot accept arguments";
        return Err(Error::new_spanned(&signature.ident, message));
    }
    if let (Kind::Test, Some(second)) = (kind, function.attributes.iter().find(|it| is_test(it))) {
        let message = "second test attribute is supplied, \
                       consider removing or changing the order of your test attributes";
        return Err(Error::new_spanned(second, message));
    }
    if signature.asyncness.is_none() {
        let message = "the `async` keyword is missing from the function declaration";
        return Err(Error::new_spanned(signature.fn_token, message));
    }
    Ok(())
}

/// Whether this is the standard `#[test]`, under its short name or its full one.
fn is_test(annotation: &Annotation) -> bool {
    let Meta::Path(path) = &annotation.meta else {
        return false;
    };
    let names: Vec<String> = path
        .segments
        .iter()
        .map(|it| it.ident.to_string())
        .collect();
    match names.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["test"] => path.leading_colon.is_none(),
        ["core" | "std", "prelude", _, "test"] => true,
        _ => false,
    }
}

/// What an attribute becomes where the feature `rt` is off.
pub(crate) fn no_runtime(kind: Kind, facade: &str) -> TokenStream {
    let name = kind.name();
    let message = format!("The #[{facade}::{name}] macro requires rt or rt-multi-thread.");
    Error::new(Span::call_site(), message).into_compile_error()
}
