//! The function below the attribute, taken apart.
//!
//! The body stays the tokens that it came as. Parsing it would cost time in every build, and would
//! take completion and navigation away from an editor while the body is half written.

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};
use quote::ToTokens;
use syn::parse::{Parse, ParseStream};
use syn::{AttrStyle, Attribute, ReturnType, Signature, Type, Visibility, braced};

/// An `async fn`, or what was meant to be one.
pub(crate) struct Function {
    /// The outer attributes, and those from inside the body, made outer ones.
    pub(crate) attributes: Vec<Attribute>,
    pub(crate) visibility: Visibility,
    pub(crate) signature: Signature,
    /// The braces and all that is between them.
    pub(crate) body: Group,
}

impl Parse for Function {
    fn parse(input: ParseStream<'_>) -> syn::Result<Function> {
        let mut attributes = Attribute::parse_outer(input)?;
        let visibility = input.parse()?;
        let signature = input.parse()?;
        let contents;
        let braces = braced!(contents in input);
        attributes.extend(inner_attributes(&contents)?);
        let mut body = Group::new(Delimiter::Brace, contents.parse()?);
        body.set_span(braces.span.join());
        Ok(Function {
            attributes,
            visibility,
            signature,
            body,
        })
    }
}

impl Function {
    /// The declared type of the result, if a variable can be declared to have it: neither `!` nor a
    /// type with `impl Trait` in it.
    pub(crate) fn nameable_output(&self) -> Option<TokenStream> {
        match &self.signature.output {
            ReturnType::Default => Some(quote::quote! { () }),
            ReturnType::Type(_, output) if matches!(**output, Type::Never(_)) => None,
            ReturnType::Type(_, output) => {
                let tokens = output.to_token_stream();
                (!contains_impl(tokens.clone())).then_some(tokens)
            }
        }
    }
}

/// Braces with other contents, in the place of `original`.
pub(crate) fn braces_of(original: &Group, contents: TokenStream) -> Group {
    let mut braces = Group::new(Delimiter::Brace, contents);
    braces.set_span(original.span());
    braces
}

/// Takes the `#![...]` from the head of a body, as `#[...]`: a function has a place for them, the
/// async block that the body becomes has none.
fn inner_attributes(body: ParseStream<'_>) -> syn::Result<Vec<Attribute>> {
    let mut attributes = Attribute::parse_inner(body)?;
    for attribute in &mut attributes {
        attribute.style = AttrStyle::Outer;
    }
    Ok(attributes)
}

fn contains_impl(tokens: TokenStream) -> bool {
    tokens.into_iter().any(|token| match token {
        TokenTree::Group(group) => contains_impl(group.stream()),
        TokenTree::Ident(ident) => ident == "impl",
        _ => false,
    })
}
