//! Signing in and out in a browser.

use crate::rig::{Browser, Embedded, Scripts};

#[tokio::test]
async fn an_operator_signs_in_with_the_admin_token_and_out_again() {
    let baton = Embedded::start().await;
    let browser = Browser::start(&baton, Scripts::On).await;
    browser.open("/console/provisioning?status=archived").await;
    browser.see("h1", "Sign in").await;
    browser.fill("#token", "not the token").await;
    browser.press("Sign in").await;
    browser.see(".error", "That is not the admin token.").await;
    browser.fill("#token", baton.api.token()).await;
    browser.press("Sign in").await;
    browser.see("h1", "Provisioning").await;
    assert_eq!(browser.address().await, "/console/provisioning?status=archived");
    browser.press("Sign out").await;
    browser.see("h1", "Sign in").await;
    browser.open("/console/provisioning").await;
    browser.see("h1", "Sign in").await;
}
