//! [`Cast`]: the plot. Alice buys groceries; then somebody else pretends to be her.

use crate::holder::Binding;
use crate::message::Role;
use crate::phone::Phone;
use crate::places::Places;
use crate::story::{Story, Told};
use crate::till::{Asked, Heard, Till, Tokens};
use crate::visitor::Visitor;

/// Those who act. Countersign and the bank are on the stage already.
pub(crate) struct Cast {
    pub(crate) till: Till,
    pub(crate) thief: Visitor,
    pub(crate) phone: Phone,
    pub(crate) binding: Binding,
    pub(crate) story: Story,
}

impl Cast {
    /// Alice buys groceries. With her yes, the till gets to use its tokens.
    pub(crate) async fn groceries(&mut self) -> Told<()> {
        self.story.chapter("The till asks");
        self.story.tell(
            "Alice buys groceries for 42.90 and says who she is: no card, no password, no PIN. With one key the till signs who it is, with \
             another what it wants. The words that alice will read on her phone stand on the till's display too: the binding message.",
        );
        let (mut asked, heard) = self.purchase("Till 7: 42.90").await?;
        match heard {
            Heard::Tokens(tokens) => self.spend(&tokens, &mut asked).await?,
            Heard::Denied => self.story.tell(
                "The till hears access_denied. It has no token, and this auth_req_id will never bring it one: a no is as final as a yes.",
            ),
            Heard::Expired => self.expired(),
            Heard::Pending | Heard::Spent => return Err("nobody else can have redeemed this".into()),
        }
        self.story.pause().await;
        Ok(())
    }

    /// Somebody else says that they are alice. She has bought nothing, and says so.
    pub(crate) async fn impostor(&mut self) -> Told<()> {
        self.story.chapter("Somebody else says they are alice");
        self.story.tell(
            "The next customer wants a television for 980.00, and gives alice's name. The till cannot know better, so it asks. But the \
             question comes to the phone of the real alice.",
        );
        let (_, heard) = self.purchase("Till 7: 980.00").await?;
        match heard {
            Heard::Denied => {
                self.story.tell("The till hears access_denied. No token was made, and the television stays in the shop.");
            }
            Heard::Tokens(_) => self.story.tell(
                "You have approved this one too, so the till has tokens for it. Only the person with the phone can tell a wrong question \
                 from a right one; the binding message is there for that.",
            ),
            Heard::Expired => self.expired(),
            Heard::Pending | Heard::Spent => return Err("nobody else can have redeemed this".into()),
        }
        self.story.pause().await;
        Ok(())
    }

    /// The till asks and goes on asking, while the phone is in somebody's hand.
    async fn purchase(&mut self, binding_message: &str) -> Told<(Asked, Heard)> {
        let mut asked = self.till.ask("alice", binding_message).await?;
        self.story.chapter("The till polls, the phone decides");
        self.story.tell(&format!(
            "The till polls right away, and then every {} seconds as countersign has told it; sooner, and it would hear slow_down.",
            asked.interval()
        ));
        match self.till.poll(&mut asked).await? {
            Heard::Pending => {}
            Heard::Tokens(_) | Heard::Denied | Heard::Expired | Heard::Spent => {
                return Err("something was decided before anybody could".into());
            }
        }
        let ((), heard) = tokio::try_join!(self.phone.attend(), self.till.poll_until_decided(&mut asked))?;
        Ok((asked, heard))
    }

    /// What tokens are good for, and what not.
    async fn spend(&self, tokens: &Tokens, asked: &mut Asked) -> Told<()> {
        self.till.check(tokens).await?;
        self.story.chapter("The till reads the balance");
        let (held, shown) = match self.binding {
            Binding::Certificate => ("certificate", "one on the connection"),
            Binding::Key => ("key", "one that signed the proof which comes with it, good for this call and no other"),
        };
        self.story.tell(&format!(
            "The bank's API asks countersign about the token, and compares the {held} that the token is bound to with the {shown}."
        ));
        self.till.read_balance(tokens).await?;
        self.story.chapter(&format!("A thief has the token, and not the {held}"));
        self.story.tell(match self.binding {
            Binding::Certificate => {
                "Whoever has copied the token out of a log, say, has no private key for the till's certificate."
            }
            Binding::Key => {
                "Whoever has copied the token out of a log, say, can sign a proof, but with a key of their own."
            }
        });
        if self.thief.balance(&tokens.access_token).await? != 401 {
            return Err("the bank takes a token from a thief".into());
        }
        self.story.chapter("The same auth_req_id, a second time");
        match self.till.poll(asked).await? {
            Heard::Spent => {}
            Heard::Tokens(_) | Heard::Pending | Heard::Denied | Heard::Expired => {
                return Err("an auth_req_id was good twice".into());
            }
        }
        self.story.tell("The till hears invalid_grant: one approval brings tokens once.");
        Ok(())
    }

    fn expired(&self) {
        self.story.tell(
            "The till hears expired_token and gives up: nobody decided in time, and a question that nobody answers is never a yes. To go on, \
             it would have to ask anew.",
        );
    }
}

/// Who is who, and the way the till finds the rest.
pub(crate) async fn opening(story: &Story, places: &Places) {
    story.chapter("countersign: a purchase at the till, countersigned on a phone");
    story.tell(
        "Everything here is real: TLS on loopback, fresh certificates and keys, the server with its shipped profile. Whatever is as long as \
         a token is shown by its first 12 characters.",
    );
    let till = match places.binding {
        Binding::Certificate => "a shop's, the client till-7: a TLS certificate, an ES256 key and a PS256 key",
        Binding::Key => {
            "a shop's, the client till-7: an ES256 key, a PS256 key, and a third that its tokens are bound to"
        }
    };
    let server = format!("this server, at {} for the world, at {} for the bank alone", places.issuer, places.internal);
    let bank = format!("at {}: knows alice, reaches her phone, keeps her account", places.bank);
    story.notes(&[
        (Role::Till, till),
        (Role::Countersign, &server),
        (Role::Bank, &bank),
        (Role::Phone, "alice's, with the bank's app"),
    ]);
    story.pause().await;
    story.chapter("The till finds its way");
}

/// What to take home.
pub(crate) fn closing(story: &Story, binding: Binding) {
    story.chapter("What just happened");
    story.tell(&format!(
        "A till asked about alice, and the answer came from a phone that she and her bank already trust. Each time, the till \
         proved who it was, and it signed what it wanted; each signature was good once and for a minute. What alice says yes to is what the \
         till gets: tokens made once, and an access token that is good for five minutes and with the till's {} alone.",
        binding.word()
    ));
    story.chapter("What to try next");
    story.list(&[
        ("cargo run --example pos -- --phone", "you hold the phone"),
        ("cargo run --example pos -- --deny", "alice says no"),
        ("cargo run --example pos -- --dpop", "a key in place of the certificate"),
        ("cargo run --example pos -- --slow", "at a reader's pace"),
        ("deploy/server.toml", "every key explained, for a server of your own"),
    ]);
}
