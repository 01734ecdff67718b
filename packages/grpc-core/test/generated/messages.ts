/** The messages that every kind of generated code in this folder is about. */
export interface HelloRequest {
  name: string
}
export interface HelloReply {
  message: string
}
