// Original file: greeter.proto


export interface HelloReply {
  'message'?: (string);
  'names'?: (string)[];
}

export interface HelloReply__Output {
  'message': (string);
  'names': (string)[];
}
