// node-oidc-provider as a CIBA server that `bench --target` can load; `run` beside it does. It keeps everything in memory, logs nothing, and believes
// whoever posts to port 7444 that users have said yes: for measuring, on a machine of your own.
//
//     node server.mjs KEYS CLIENTS
//
// KEYS is the folder that `countersign certs dev` makes, CLIENTS what `bench clients` prints.

import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import path from 'node:path';

import { Provider } from 'oidc-provider';

const [keys, clients] = process.argv.slice(2);
if (!clients) {
  console.error('usage: node server.mjs KEYS CLIENTS');
  process.exit(2);
}
const file = (name) => readFileSync(path.join(keys, name));

// The adapter that comes with it forgets all but a thousand records. This one forgets none.
const records = new Map();
const families = new Map();

class Everything {
  constructor(model) {
    this.model = model;
  }

  place(id) {
    return `${this.model}:${id}`;
  }

  async upsert(id, payload) {
    if (payload.grantId && this.model !== 'Grant') {
      families.set(payload.grantId, [...(families.get(payload.grantId) ?? []), this.place(id)]);
    }
    records.set(this.place(id), payload);
  }

  async find(id) {
    return records.get(this.place(id));
  }

  async findByUid() {}

  async findByUserCode() {}

  async consume(id) {
    records.get(this.place(id)).consumed = Math.floor(Date.now() / 1000);
  }

  async destroy(id) {
    records.delete(this.place(id));
  }

  async revokeByGrantId(grantId) {
    families.get(grantId)?.forEach((place) => records.delete(place));
    families.delete(grantId);
  }
}

const made = (alg, type, options) => {
  const { privateKey } = generateKeyPairSync(type, options);
  return { ...privateKey.export({ format: 'jwk' }), kid: alg, alg, use: 'sig' };
};

const algorithms = ['ES256', 'PS256'];
const nothing = async () => {};
const provider = new Provider('https://localhost:7443', {
  adapter: Everything,
  clients: JSON.parse(readFileSync(clients)).map((client) => ({ ...client, response_types: [], redirect_uris: [] })),
  jwks: { keys: [made('ES256', 'ec', { namedCurve: 'P-256' }), made('PS256', 'rsa', { modulusLength: 2048 })] },
  scopes: ['openid', 'accounts'],
  findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
  clientAuthMethods: ['private_key_jwt', 'tls_client_auth'],
  enabledJWA: {
    clientAuthSigningAlgValues: algorithms,
    idTokenSigningAlgValues: algorithms,
    requestObjectSigningAlgValues: algorithms,
    dPoPSigningAlgValues: ['ES256'],
  },
  ttl: { AccessToken: 600, BackchannelAuthenticationRequest: 600, Grant: 600, IdToken: 600 },
  features: {
    devInteractions: { enabled: false },
    fapi: { enabled: true, profile: '1.0 Final' },
    requestObjects: { enabled: true, requireSignedRequestObject: true },
    dPoP: { enabled: true, nonceSecret: randomBytes(32), requireNonce: () => true },
    mTLS: {
      enabled: true,
      certificateBoundAccessTokens: true,
      tlsClientAuth: true,
      getCertificate: (ctx) => ctx.socket.getPeerX509Certificate(),
      certificateAuthorized: (ctx) => ctx.socket.authorized,
      certificateSubjectMatches: (ctx, _, expected) => ctx.socket.getPeerX509Certificate().subject === expected,
    },
    ciba: {
      enabled: true,
      deliveryModes: ['poll'],
      processLoginHint: (_, hint) => hint,
      validateBindingMessage: nothing,
      validateRequestContext: nothing,
      verifyUserCode: nothing,
      triggerAuthenticationDevice: nothing,
    },
  },
});

const approve = async (id) => {
  const request = await provider.BackchannelAuthenticationRequest.find(id);
  const client = await provider.Client.find(request.clientId);
  const grant = new provider.Grant({ client, accountId: request.accountId });
  grant.addOIDCScope('openid accounts');
  await grant.save();
  await provider.backchannelResult(request, grant);
};

const tls = { key: file('server-p256.key'), cert: file('server-p256.pem'), ca: file('ca.pem') };
https
  .createServer({ ...tls, requestCert: true, rejectUnauthorized: false }, provider.callback())
  .listen(7443, '127.0.0.1');

// Takes `auth_req_id`s, one a line.
http
  .createServer(async (request, response) => {
    const ids = (await request.setEncoding('utf8').toArray()).join('').split('\n').filter(Boolean);
    for (const id of ids) await approve(id);
    response.end();
  })
  .listen(7444, '127.0.0.1');
