/** TLS with a key that both sides know: no certificate has to be made, or to expire. */
const OPTIONS = { ciphers: 'PSK', maxVersion: 'TLSv1.2' } as const
const KEY = Buffer.from('0123456789abcdef0123456789abcdef', 'hex')

export const PSK = {
  server: { ...OPTIONS, pskCallback: () => KEY },
  client: {
    ...OPTIONS,
    pskCallback: () => ({ psk: KEY, identity: 'test' }),
    checkServerIdentity: () => undefined,
  },
}
