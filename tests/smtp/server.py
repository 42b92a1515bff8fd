"""An SMTP server on loopback that keeps what it is given, for tests.

usage: server.py DIR starttls|implicit CERTIFICATE KEY USER PASSWORD

Message N is written to DIR/N.eml, what was read from it to DIR/N.json. The word
in DIR/mode says what happens at the end of a message: `take` it, `refuse` it, or
take it and `vanish` without an answer, or take it and `hang`.
"""

import asyncio
import email
import email.policy
import json
import pathlib
import ssl
import sys

from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

DIR = pathlib.Path(sys.argv[1])
KIND, CERTIFICATE, KEY, USER, PASSWORD = sys.argv[2:]


class Keeper:
    async def handle_RCPT(self, server, session, envelope, address, options):
        if address.startswith("nobody@"):
            return "550 5.1.1 no such mailbox"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        mode = (DIR / "mode").read_text().strip()
        if mode == "refuse":
            return "451 4.3.0 later"
        number = len(list(DIR.glob("*.eml")))
        message = email.message_from_bytes(envelope.content, policy=email.policy.default)
        text = message.get_body() if not message["content-type"].startswith("multipart/signed") else next(message.iter_parts())
        (DIR / f"{number}.eml").write_bytes(envelope.content)
        # Whoever waits for the message finds it whole.
        (DIR / "next").write_text(json.dumps({
            "mailFrom": envelope.mail_from,
            "recipients": envelope.rcpt_tos,
            "from": message["from"],
            "to": message["to"],
            "subject": message["subject"],
            "headers": message.keys(),
            "messageId": message["message-id"],
            "text": text.get_content(),
            "tls": session.ssl is not None,
            "user": session.auth_data,
        }))
        (DIR / "next").rename(DIR / f"{number}.json")
        if mode == "vanish":
            server.transport.abort()
        if mode == "hang":
            await asyncio.sleep(3600)
        return "250 OK"


def login(server, session, envelope, mechanism, data):
    if not isinstance(data, LoginPassword):
        return AuthResult(success=False, handled=False)
    good = (data.login.decode(), data.password.decode()) == (USER, PASSWORD)
    return AuthResult(success=good, handled=False, auth_data=data.login.decode())


async def main():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE, KEY)
    implicit = KIND == "implicit"

    def protocol():
        return SMTP(
            Keeper(),
            hostname="mail.example.test",
            enable_SMTPUTF8=True,
            authenticator=login,
            auth_required=True,
            # Under implicit TLS the library does not see the TLS.
            auth_require_tls=not implicit,
            tls_context=None if implicit else context,
            require_starttls=not implicit,
        )

    loop = asyncio.get_running_loop()
    server = await loop.create_server(protocol, "127.0.0.1", 0, ssl=context if implicit else None)
    print(f"listening on 127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


asyncio.run(main())
