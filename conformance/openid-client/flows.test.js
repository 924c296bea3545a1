// openid-client, which knows nothing of countersign, registers, asks, polls or is pinged, and uses what it is given: bound by certificate and by DPoP.

import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, describe, test } from 'node:test'

import { exportJWK, generateKeyPair, SignJWT } from 'jose'
import * as openid from 'openid-client'
import { Agent, fetch } from 'undici'

import { putUp } from './stage.js'

let stage

before(async () => {
  stage = await putUp('plain-ping-pkj-dynamic')
})
after(() => stage?.takeDown())

/** `fetch` that believes the server, and shows a certificate if there is one. */
const fetching = (certificate) => {
  const dispatcher = new Agent({ connect: { ca: stage.authority, ...certificate } })
  return (url, options) => fetch(url, { ...options, dispatcher })
}

/** RFC 7591, and what openid-client makes of the answer. */
async function register(mode, binding, key) {
  const certificate = binding === 'certificate' ? stage.client : undefined
  const jwk = { ...(await exportJWK(key.publicKey)), alg: 'ES256', use: 'sig', kid: 'flows' }
  const metadata = {
    client_name: `openid-client, ${mode}, ${binding}`,
    grant_types: ['urn:openid:params:grant-type:ciba', 'refresh_token'],
    jwks: { keys: [jwk] },
    token_endpoint_auth_method: 'private_key_jwt',
    token_endpoint_auth_signing_alg: 'ES256',
    id_token_signed_response_alg: 'ES256',
    backchannel_authentication_request_signing_alg: 'ES256',
    backchannel_token_delivery_mode: mode,
    dpop_bound_access_tokens: binding === 'key',
    tls_client_certificate_bound_access_tokens: binding === 'certificate',
    ...(mode === 'ping' && { backchannel_client_notification_endpoint: `${stage.pings.url}/ping` }),
  }
  return openid.dynamicClientRegistration(
    new URL(stage.issuer),
    metadata,
    openid.PrivateKeyJwt({ key: key.privateKey, kid: 'flows' }),
    { initialAccessToken: stage.initial_access_token, [openid.customFetch]: fetching(certificate) },
  )
}

/** CIBA §7.1: a new client asks for alice, with what is asked for signed. */
async function ask(mode, binding) {
  const key = await generateKeyPair('ES256', { extractable: true })
  const config = await register(mode, binding, key)
  const DPoP = binding === 'key' ? openid.getDPoPHandle(config, await openid.randomDPoPKeyPair('ES256')) : undefined
  const client_notification_token = mode === 'ping' ? randomUUID() : undefined
  const ping = stage.pings.expect(client_notification_token)
  const parameters = { scope: 'openid accounts', login_hint: 'alice', binding_message: 'Till 7: 42.90' }
  const request = await new SignJWT({ ...parameters, client_notification_token })
    .setProtectedHeader({ alg: 'ES256', kid: 'flows', typ: 'oauth-authz-req+jwt' })
    .setIssuer(config.clientMetadata().client_id)
    .setAudience(stage.issuer)
    .setJti(randomUUID())
    .setIssuedAt()
    .setNotBefore('0s')
    .setExpirationTime('60s')
    .sign(key.privateKey)
  const asked = await openid.initiateBackchannelAuthentication(config, { request })
  assert.ok(asked.auth_req_id && asked.expires_in > 0)
  return { config, asked, ping, DPoP }
}

/** What alice does on her phone. */
async function phone(auth_req_id, action) {
  const url = stage.approval_url.replace('{auth_req_id}', auth_req_id).replace('{action}', action)
  const { status } = await fetching()(url, { method: 'POST' })
  assert.equal(status, 204)
}


describe('openid-client', { concurrency: true, timeout: 120_000 }, () => {
  for (const binding of ['certificate', 'key']) {
    for (const mode of ['poll', 'ping']) {
      test(`${mode}, bound by ${binding}: what alice approves opens what it is for, and nothing without what it is bound to`, async () => {
        const { config, asked, ping, DPoP } = await ask(mode, binding)
        await phone(asked.auth_req_id, 'allow')
        if (mode === 'ping') assert.equal(await ping, asked.auth_req_id)
        const tokens = await openid.pollBackchannelAuthenticationGrant(config, asked, undefined, { DPoP })
        assert.equal(tokens.token_type, binding === 'key' ? 'dpop' : 'bearer')
        assert.ok(tokens.expires_in <= 600)
        const { sub } = tokens.claims()

        const account = new URL(stage.resource_url)
        const read = await openid.fetchProtectedResource(config, tokens.access_token, account, 'GET', null, undefined, { DPoP })
        assert.equal(read.status, 200)
        assert.equal((await openid.fetchUserInfo(config, tokens.access_token, sub, { DPoP })).sub, sub)

        const refreshed = await openid.refreshTokenGrant(config, tokens.refresh_token, undefined, { DPoP })
        assert.equal((await openid.fetchUserInfo(config, refreshed.access_token, sub, { DPoP })).sub, sub)

        // Somebody else has copied it.
        const bare = { headers: { authorization: `Bearer ${tokens.access_token}` } }
        assert.equal((await fetching()(account, bare)).status, 401)
        assert.equal((await fetching()(config.serverMetadata().userinfo_endpoint, bare)).status, 401)
        if (DPoP) {
          const thief = openid.getDPoPHandle(config, await openid.randomDPoPKeyPair('ES256'))
          await assert.rejects(openid.fetchUserInfo(config, tokens.access_token, sub, { DPoP: thief }), { status: 401 })
        }
      })

      test(`${mode}, bound by ${binding}: what alice denies brings access_denied`, async () => {
        const { config, asked, DPoP } = await ask(mode, binding)
        await phone(asked.auth_req_id, 'deny')
        const poll = openid.pollBackchannelAuthenticationGrant(config, asked, undefined, { DPoP })
        await assert.rejects(poll, { error: 'access_denied' })
      })
    }
  }
})
